/* operations/operation.h: what a flow can do here: the table of operations, and one run of one.
 *
 * An operation is one file that ends in a `const struct operation`, and one name in
 * OPERATIONS below. Its first step gets options whose templates are resolved and whose types have
 * been checked against its option table. It sets `result` and ends with task_end(), or it fails with
 * task_fail(): what becomes of that (the reject path, the end of the job) is the run's business, as
 * are retries of the job, the data chain and the log.
 *
 * An operation that has to wait for long (a sleep, a limit, a provider that asks to come back in
 * five minutes, other jobs) does not hold a slot: it sets `park_until_ms` and, if it wants to find
 * something again, `note`, and fails with ERR_PARKED. The job goes back to the queue and the
 * operation is started again at that time, by some worker, with the same options and its note.
 *
 * A provider call goes through the journal (operations/journal.h), which is where limits, money and
 * "never pay twice" live. Everything else an operation does may be done twice after a crash, and
 * must be harmless then, or say so in the README. */
#ifndef OPERATIONS_OPERATION_H
#define OPERATIONS_OPERATION_H

#include "common/json.h"
#include "common/task.h"

struct journal;
struct operation;
struct services;
struct spawner;
struct undo;

/* What an operation has spent, also one that fails. Added up over its provider calls. */
struct op_usage {
	uint64_t input_tokens, output_tokens, reasoning_tokens, cached_tokens;
	uint64_t cost_nano; /* nano-dollars */
	bool cost_unknown;  /* a model without a price was used */
	uint32_t calls;     /* to providers; 0: nothing was asked, the rest is 0 */
};

/* Where a run comes from: the same for all operations of a run. */
struct op_origin {
	const char *flow_id;  /* of a flow that Directus holds; NULL: the job brought its own */
	const char *chain_id; /* of the first job of a chain of causes: travels in the user agent */
	uint32_t depth;       /* how many causes came before; 0: none */
	const cJSON *accountability; /* who caused it, as the job says: data, not a right */
	bool is_signed;              /* the job: what it says of accountability may be believed */
	bool is_bulk;                /* a job of lane 2: its calls to Directus are not to be felt */
	/* The flow was read from Directus, where our extension is: it carries out the flow's item
	 * operations, as whom the stored operation says (deploy/directus-extension/README.md). */
	bool by_extension;
};

struct op_call {
	struct task task;
	const struct operation *op;
	const struct services *use;
	const struct op_origin *origin;
	struct journal *journal;
	struct spawner *spawner;   /* starts other flows; see operations/spawner.h */
	struct arena *arena;       /* the job's */
	struct undo *undo;         /* keeps what writes replace (operations/undo.h); or NULL */
	const char *job_id, *step; /* the step is the operation's key in the chain */
	uint32_t attempt;          /* of the job, from 1 */
	const cJSON *options;      /* templates resolved, checked against op->options */
	const cJSON *chain;        /* the data chain; read only */
	const cJSON *note;         /* in: what it left when it parked; out: what it leaves */

	/* If set: gets the pieces of a streamed answer as they come. */
	void (*piece)(struct op_call *c, struct str text);

	/* out: */
	uint64_t park_until_ms; /* with ERR_PARKED: time of day */
	cJSON *result;          /* what $last becomes; in the arena; NULL is null */
	/* What $last becomes when it has failed; NULL: the error object, made from task.call.err. */
	cJSON *rejection;
	/* An object whose members join the error object: provider, model, extensions, …; or NULL. */
	cJSON *error_extra;
	struct op_usage usage;
	const char *question; /* ai-*: the digest of what was asked (inputHash); or NULL */
	bool unchanged;       /* ai-*: nothing was asked, since that is what `skipIfHash` says */
	void *state;          /* op->state_size zeroed bytes, its own */
};

/* The types that an option may have, for checks and texts. */
enum option_type {
	OPTION_TEXT = 1,
	OPTION_NUMBER = 2,
	OPTION_BOOL = 4,
	OPTION_OBJECT = 8,
	OPTION_ARRAY = 16,
	OPTION_ANY = 31
};

struct option {
	const char *name;
	unsigned types; /* of enum option_type; null always means "not set" */
	bool required;
	double min, max;     /* of a number, where max > min */
	const char *choices; /* of a text: "text|json|markdown|html|": also ""; or NULL */
	const char *help;    /* one line */
	/* Its text goes to a provider: a template that resolves to nothing is TEMPLATE_UNRESOLVED there
	 * (option `onMissing`: error, empty, literal), not the word "undefined", sent and paid for. */
	bool must_resolve;
	bool is_secret; /* nobody sees it in the log of a run */
};

struct operation {
	const char *type;             /* as in a flow: "ai-generate" */
	const struct option *options; /* ends with {NULL} */
	/* An option of a wrong type is INVALID_PAYLOAD; else the operation looks itself, by Directus'
	 * lenient rules. */
	bool strict;
	/* A failure that trying again may mend (Directus is down) sends the job back to the queue for a
	 * while, before it counts as failed. */
	bool waits_out_outages;
	/* Fails where there is no Directus. */
	bool needs_directus;
	/* Changes something outside: left out in a dry run, and resolved with null. */
	bool writes;
	size_t state_size;
	task_step *first;
};

/* A new operation is one file and one name here. */
#define OPERATIONS(X)       \
	X(ai_analyze)       \
	X(ai_analyze_image) \
	X(ai_generate)      \
	X(condition)        \
	X(item_create)      \
	X(item_delete)      \
	X(item_read)        \
	X(item_update)      \
	X(json_web_token)   \
	X(log)              \
	X(notification)     \
	X(request)          \
	X(sleep)            \
	X(throw_error)      \
	X(transform)        \
	X(trigger)

#define X(name) extern const struct operation operation_##name;
OPERATIONS(X)
#undef X

const struct operation *operation_find(const char *type); /* NULL: there is none */

/* ERR_INVALID_PAYLOAD names the option, what was found and what was expected. */
bool operation_check(const struct operation *op, const cJSON *options, struct error *err) NODISCARD;

/* Its choices for a text, without the empty one, which stands for "not set": "text|json". */
struct str option_choices(const struct option *o);

/* The options as the log of a run shows them: those that are secret are masked. */
const cJSON *operation_shown_options(struct arena *a, const struct operation *op,
				     const cJSON *options);

/* Everything above the outputs must be set. Ends like any task. */
void operation_start(struct op_call *c);

static inline struct op_call *op_of(struct task *t)
{
	return container_of(t, struct op_call, task);
}

#endif
