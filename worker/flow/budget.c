#include "worker/flow/budget.h"

#include "common/loop.h"
#include "operations/services.h"
#include "worker/flow/run.h"

static struct budget *budget_of(struct journal *j)
{
	return container_of(j, struct budget, journal);
}

static uint64_t tokens(const struct op_usage *u)
{
	return u->input_tokens + u->output_tokens;
}

static bool is_over(const struct budget *b, const struct journal_entry *e, struct error *err)
{
	const struct job *job = b->run->with.job;
	uint64_t spent = b->run->usage.cost_nano + b->run->op.usage.cost_nano;
	uint64_t used = tokens(&b->run->usage) + tokens(&b->run->op.usage);
	uint64_t wanted = e->input_tokens + e->most_output_tokens;

	if (job->max_cost_nano && e->cost_known && spent + e->most_cost_nano > job->max_cost_nano)
		return !fail(err, ERR_BUDGET,
			     "the job's budget is %.6f USD: %.6f are spent, and this call may "
			     "cost %.6f",
			     (double)job->max_cost_nano / 1e9, (double)spent / 1e9,
			     (double)e->most_cost_nano / 1e9);
	if (job->max_tokens && used + wanted > job->max_tokens)
		return !fail(err, ERR_BUDGET,
			     "the job's budget is %llu tokens: %llu are used, and this call may "
			     "use %llu",
			     (unsigned long long)job->max_tokens, (unsigned long long)used,
			     (unsigned long long)wanted);
	return false;
}

static void nothing_to_cancel(struct call *c)
{
	(void)c; /* it has ended already */
}

static void permit(struct journal *j, struct permit_call *c, struct arena *a)
{
	struct budget *b = budget_of(j);
	struct error err;

	if (!is_over(b, &c->entry, &err)) {
		b->behind->methods->permit(b->behind, c, a);
		return;
	}
	call_begin(&c->call, b->run->with.use->loop, nothing_to_cancel);
	c->call.err = err;
	call_end(&c->call);
}

static void settle(struct journal *j, struct settle_call *c, struct arena *a)
{
	struct journal *behind = budget_of(j)->behind;

	behind->methods->settle(behind, c, a);
}

static bool answer(struct journal *j, const char *step, uint32_t n, struct str *text)
{
	struct journal *behind = budget_of(j)->behind;

	return behind->methods->answer(behind, step, n, text);
}

static uint32_t calls(struct journal *j, const char *step)
{
	struct journal *behind = budget_of(j)->behind;

	return behind->methods->calls(behind, step);
}

static void keep(struct journal *j, struct keep_call *c)
{
	struct journal *behind = budget_of(j)->behind;

	behind->methods->keep(behind, c);
}

static bool kept(struct journal *j, const char *step, uint32_t n, struct str *text)
{
	struct journal *behind = budget_of(j)->behind;

	return behind->methods->kept(behind, step, n, text);
}

static struct calibration calibration(struct journal *j, const struct journal_entry *e)
{
	struct journal *behind = budget_of(j)->behind;

	return behind->methods->calibration(behind, e);
}

void budget_init(struct budget *b, struct journal *behind, const struct run *run)
{
	static const struct journal_methods methods = {permit, settle, answer,     calls,
						       keep,   kept,   calibration};

	*b = (struct budget){
		{&methods, behind->has_cache},
                behind, run
        };
}
