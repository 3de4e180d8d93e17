#include "worker/cli/exec_journal.h"

static void nothing_to_cancel(struct call *c)
{
	(void)c; /* it has ended already */
}

static void end_at_once(struct journal *j, struct call *c)
{
	struct exec_journal *e = container_of(j, struct exec_journal, journal);

	call_begin(c, e->loop, nothing_to_cancel);
	call_end(c);
}

static void permit(struct journal *j, struct permit_call *c, struct arena *a)
{
	(void)a;
	end_at_once(j, &c->call);
}

static void settle(struct journal *j, struct settle_call *c, struct arena *a)
{
	(void)a;
	end_at_once(j, &c->call);
}

static bool answer(struct journal *j, const char *step, uint32_t n, struct str *text)
{
	(void)j, (void)step, (void)n, (void)text;
	return false;
}

static uint32_t calls(struct journal *j, const char *step)
{
	(void)j, (void)step;
	return 0;
}

static void keep(struct journal *j, struct keep_call *c)
{
	end_at_once(j, &c->call);
}

static struct calibration calibration(struct journal *j, const struct journal_entry *e)
{
	(void)j, (void)e;
	return (struct calibration){.calls = 0};
}

static const struct journal_methods methods = {permit, settle, answer,     calls,
					       keep,   answer, calibration};

void exec_journal_init(struct exec_journal *j, struct loop *l)
{
	j->journal = (struct journal){&methods, false};
	j->loop = l;
}
