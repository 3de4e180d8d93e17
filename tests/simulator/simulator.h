/* simulator.h: what the parts of the simulated provider tell each other.
 *
 * A request becomes a question (read by the format of its path), the question gets an answer
 * (answer.c), the format turns both into a reply, a fault may change the reply or how it is
 * delivered, and deliver.c makes the script that http.c plays. Words:
 *   format    one wire format: chat, responses, messages, gemini
 *   reply     status, headers and the pieces of the body, before anything is framed
 *   refusal   an error of the provider, by a name that all formats share */
#ifndef SIMULATOR_SIMULATOR_H
#define SIMULATOR_SIMULATOR_H

#include "http.h"

#include <cjson/cJSON.h>
#include <stdio.h>

enum { REPLY_MAX = 64 * 1024 * 1024, BYTES_PER_TOKEN = 5, TOKENS_PER_ATTACHMENT = 85 };

struct fault;
struct reply;
struct record;

/* ---- questions and answers ---- */

struct usage {
	long input, cached, output, reasoning;
};

/* What a format reads out of a request. */
struct question {
	struct arena *arena;
	const cJSON *body;
	const char *model;
	struct str user_text; /* the last text of the user */
	size_t text_bytes;    /* all text of the prompt: system, messages of every role */
	long attachments;     /* images and files */
	long max_tokens;      /* 0: not given */
	const cJSON *schema;  /* of the answer; NULL: none asked for */
	bool wants_json;      /* any JSON object */
	bool is_stream, wants_usage;
	bool is_background; /* the answer is not waited for: background.c */
	bool is_array;      /* Gemini without alt=sse */
};

enum finish { FINISH_STOP, FINISH_LENGTH, FINISH_FILTER, FINISH_REFUSAL };

struct answer {
	struct str text;
	struct str reasoning; /* empty: none */
	enum finish finish;
	struct usage usage;
	uint64_t number; /* of the request, from 1: makes the ids */
	long created;    /* seconds since 1970 */
};

/* Takes the next word with the blanks behind it off the front of a text: what streams are made of. */
struct str next_word(struct str *rest);

struct answer answer_make(const struct question *q, const struct fault *fault, uint64_t number);
long tokens_of(size_t bytes);
long question_tokens(const struct question *q);

/* A minimal value that fits the schema, printed. */
struct str schema_value(struct arena *a, const cJSON *schema, struct str text);

/* ---- replies ---- */

struct reply {
	struct arena *arena;
	int status;
	const char *content_type;
	struct buf *headers; /* further ones, each line ended by CRLF */
	struct str *pieces;  /* of the body; more than one: streamed, chunked */
	size_t piece_count, piece_cap;
	bool is_stream;
	long content_length; /* -1: the true one */
	double delay_ms;     /* before the first byte */
	double gap_ms;       /* between two pieces */
};

struct reply *reply_new(struct arena *a);
void reply_piece(struct reply *r, struct str piece);
void reply_json(struct reply *r, int status, const struct buf *body);
void reply_header(struct reply *r, const char *name, const char *value);

/* The reply as a script, broken as the fault (or NULL) says. */
void deliver(struct script *s, const struct reply *r, const struct fault *fault);

/* ---- formats ---- */

struct refusal {
	const char *kind; /* a name of the table in errors.c */
	const char *message, *param;
	int status;            /* 0: the kind's own */
	double retry_after_ms; /* 0: none */
};

struct format {
	const char *name;
	/* Fills q from q->body; NULL if it is good, else what the provider complains about. */
	const struct refusal *(*read)(struct question *q, const struct request *r);
	void (*answer)(struct reply *reply, const struct question *q, const struct answer *a);
	void (*stream)(struct reply *reply, const struct question *q, const struct answer *a);
	/* The error as a body, or as an event inside a stream. */
	void (*error)(struct buf *out, const struct refusal *r, int status);
	struct str (*error_event)(struct arena *a, const struct refusal *r, int status);
	const char *request_id_header;
};

void openai_error(struct buf *out, const struct refusal *r, int status);
bool model_reasons(const char *model); /* an OpenAI model with hidden reasoning */

extern const struct format format_chat, format_responses, format_messages, format_gemini;

/* The format of a path, or NULL. */
const struct format *format_find(const char *path);

int refusal_status(const struct refusal *r, const struct format *f);
void reply_refusal(struct reply *reply, const struct format *f, const struct refusal *r);

/* What a kind of refusal is called on each wire. NULL when there is no such kind. */
struct error_kind {
	const char *name;
	int status;
	const char *openai_type, *openai_code;
	int anthropic_status;
	const char *anthropic_type;
	int google_status;
	const char *google_name, *google_reason;
	const char *message;
};
const struct error_kind *error_kind_find(const char *name);

/* ---- options ---- */

struct limits {
	long rpm, rpd, tpm, itpm, otpm, concurrency; /* 0: none */
	bool charge_usage;                           /* tpm takes the truth, not the worst case */
	enum { PER_ALL, PER_MODEL, PER_KEY } per;
};

struct options {
	int port;
	double delay_from, delay_to; /* equal: fixed */
	size_t answer_bytes;         /* answers are padded to so many; 0: as they are */
	struct limits limits;
	char *ledger_file;
	bool ledger_bodies;
	bool numbered; /* the answer names the number of its request */
	unsigned long seed;
	char *models; /* comma list of those there are; NULL: any */
	char *keys;   /* comma list of those that are good; NULL: any, also none */
	bool dies_with_parent;
};
extern struct options options;

/* false: there is no such option, or it can not have that value. NULL is no value. */
bool option_set(const char *name, const char *value);

double random_unit(void); /* in (0, 1), from the seed */

/* ---- limits ---- */

/* Admits the request or fills the refusal; either way puts the rate-limit headers on the reply. */
bool limits_admit(struct record *record, const struct question *q, const struct format *f,
		  struct reply *reply, struct refusal *refusal);
void limits_settle(struct record *record); /* the exchange is over */
void limits_reset(void);
void limits_print(struct buf *out); /* for /__sim/stats */

/* ---- ledger ---- */

struct limit_bucket;
struct taking;

struct record {
	uint64_t number;
	double at, ended;
	char *start;                /* what was known when the request had come, as JSON members */
	char *call;                 /* X-Client-Request-Id, or "" */
	char key[17];               /* the start of the hash of the API key */
	const char *format, *fault; /* fault: NULL if none */
	int status;
	enum outcome outcome;
	struct usage usage;          /* of the answer that was made; zeros for errors */
	struct limit_bucket *bucket; /* whose limits it was admitted to, until it is settled */
	struct taking *taking;       /* what it took of them */
	bool is_admitted;
	bool is_forgotten; /* the ledger was reset while it was open */
	uint64_t bytes_sent;
};

void ledger_open(void);
struct record *ledger_add(const struct exchange *x, const char *format, const struct question *q);
void ledger_end(struct record *record, const struct exchange *x); /* also settles the limits */
void ledger_print(struct buf *out, double since, const char *call_prefix);
void ledger_stats(struct buf *out);
void ledger_reset(void);

/* ---- faults ---- */

enum fault_kind {
	FAULT_ANSWER,
	FAULT_ERROR,
	FAULT_CUT,
	FAULT_RESET,
	FAULT_HANG,
	FAULT_SLOW,
	FAULT_GARBAGE,
	FAULT_HTML,
	FAULT_LENGTH,
	FAULT_HUGE,
	FAULT_STREAM_ERROR,
	FAULT_STREAM_CUT,
	FAULT_EMPTY,
};

struct fault {
	const char *name; /* as in the request that queued it */
	enum fault_kind kind;
	const cJSON *json; /* all of its fields */
	struct fault *next;
	long skip, left; /* left -1: for ever */
	uint64_t hits;
};

/* Queues what a body of POST /__sim/faults says; NULL or what is wrong with it. */
const char *faults_add(struct arena *a, struct str body);
struct fault *faults_match(const struct exchange *x, const char *format, const struct question *q);
void faults_clear(void);
void faults_print(struct buf *out);

/* What the fault wants instead of a made answer; false if it leaves the answer alone. */
bool fault_replaces(const struct fault *f, struct reply *reply, const struct format *format,
		    struct refusal *refusal);
/* Changes a finished reply. */
void fault_change(const struct fault *f, struct reply *reply, const struct format *format);

/* ---- small things ---- */

struct buf *buf_in(struct arena *a);             /* given back with the arena */
void add_quoted(struct buf *b, struct str text); /* as a JSON string */
double field_number(const cJSON *object, const char *name, double otherwise);
const char *field_text(const cJSON *object, const char *name); /* or NULL */
bool field_bool(const cJSON *object, const char *name);
cJSON *parse_json(struct arena *a, struct str text); /* NULL if it is none */
void sha256_hex(struct str bytes, char hex[65]);

/* ---- answers in the background ---- */

void background_keep(uint64_t number, double ready_at, const char *before, const char *after);
/* A request about one of them; false if it is none. */
bool background_handle(struct exchange *x, struct reply *reply);
size_t background_stopped(void); /* how many nobody wanted any more */
void background_forget(void);

/* ---- requests to the simulator itself ---- */

void control_handle(struct exchange *x, struct reply *reply);

/* ---- requests to the provider ---- */

void provider_handle(struct exchange *x, struct reply *reply);
void provider_ended(struct exchange *x);

/* Lists and descriptions of models; false if the path is none of those. */
bool models_handle(struct exchange *x, struct reply *reply);
bool list_has(const char *list, const char *name); /* a comma list; NULL has everything */

#endif
