/* operations/providers/provider.h: who can be asked, and in which shape.
 *
 * A provider is one file that ends in a `const struct provider`, and one line of the table in
 * provider.c. It is pure: a question becomes an HTTP request, an HTTP reply becomes an answer or an
 * error, an event of a stream adds to an answer. No loop, no clock, no I/O: that is llm.c's.
 *
 * A provider sends what the question says. What a model can take (an effort, a temperature, a
 * picture) has been settled before by llm.c with the help of the model table; a provider only
 * knows how its wire says it. */
#ifndef OPERATIONS_PROVIDERS_PROVIDER_H
#define OPERATIONS_PROVIDERS_PROVIDER_H

#include "common/buf.h"
#include "common/http.h"
#include "common/json.h"
#include "operations/providers/sse.h"

/* ---- the model ---- */

enum effort {
	EFFORT_UNSET, /* say nothing */
	EFFORT_NONE,
	EFFORT_MINIMAL,
	EFFORT_LOW,
	EFFORT_MEDIUM,
	EFFORT_HIGH,
	EFFORT_XHIGH,
	EFFORT_MAX
};

const char *effort_name(enum effort e); /* "low"; NULL for EFFORT_UNSET */
enum effort effort_find(const char *name);

enum sampling {
	SAMPLING_ANY,
	SAMPLING_ONE,               /* temperature or top_p, not both */
	SAMPLING_WITHOUT_REASONING, /* only with EFFORT_NONE */
	SAMPLING_NEVER
};

enum thinking {
	THINKING_EFFORT,   /* the wire's plain effort field, if any */
	THINKING_ADAPTIVE, /* Anthropic: adaptive, can be switched off */
	THINKING_ALWAYS,   /* Anthropic: adaptive, can not be switched off */
	THINKING_BUDGET,   /* a number of tokens: Anthropic to 4.5, Gemini 2.5 */
	THINKING_LEVEL     /* Gemini 3 and later */
};

enum image_rule { /* how many tokens a picture is */
		  IMAGE_UNKNOWN,
		  IMAGE_TILES,        /* OpenAI: base + per tile of 512 */
		  IMAGE_PATCHES,      /* OpenAI: patches of 32 */
		  IMAGE_CLAUDE,       /* patches of 28, at most 1568 */
		  IMAGE_CLAUDE_LARGE, /* ... at most 4784 */
		  IMAGE_GEMINI_TILES, /* 258 per tile of 768 */
		  IMAGE_GEMINI_FLAT
};

enum tokenizer {
	TOKENIZER_O200K,
	TOKENIZER_CL100K,
	TOKENIZER_CLAUDE,
	TOKENIZER_CLAUDE_NEW,
	TOKENIZER_GEMMA, /* Gemini's, too */
	TOKENIZER_LLAMA3,
	TOKENIZER_QWEN,
	TOKENIZER_DEEPSEEK,
	TOKENIZER_MISTRAL
};

struct byte_pairs;

/* One model, all of it data: operations/models.json, AI_MODELS, AI_OPENAI_COMPATIBLE_MODELS. */
struct model {
	const char *provider, *id, *name;
	uint32_t context, output; /* tokens */
	/* Pico-dollars per token, which is micro-dollars per million tokens. */
	uint64_t price_input, price_output, price_cached, price_cache_write;
	bool price_known;
	bool attachment, reasoning;
	bool listed;      /* it is in a table; else an id that somebody typed */
	unsigned efforts; /* 1 << enum effort: those that may be sent; 0: send none */
	bool responses;   /* OpenAI: answers on /responses only */
	bool penalties;   /* presence and frequency penalty are taken */
	bool stop;        /* stop sequences are taken */
	bool no_system;   /* has no place for a system text: it goes before the first user text */
	bool schema;      /* takes a JSON schema for its output */
	enum sampling sampling;
	enum thinking thinking;
	uint32_t budget_min, budget_max; /* THINKING_BUDGET: 0 for min: can be switched off */
	enum image_rule image_rule;
	uint32_t image_base, image_tile; /* IMAGE_TILES */
	enum tokenizer tokenizer;
	bool tokenizer_known;          /* it is the model's own, not only near to it */
	struct byte_pairs *byte_pairs; /* counts with its ranks, or o200k's; NULL: there are none */
	unsigned ranks;                /* ... whose these are: enum split_rules */
	const char *retires;           /* "2026-12-11", or NULL */
	const cJSON *options; /* joins the request's body, before the operation's own; or NULL */
};

/* ---- the question ---- */

struct maybe {
	bool set;
	double value;
};

enum part_kind { PART_TEXT, PART_IMAGE, PART_DOCUMENT };

struct llm_part {
	enum part_kind kind;
	const char *text;       /* PART_TEXT */
	const char *media_type; /* the others: "image/png", "application/pdf" */
	const char *base64;     /* ... their bytes */
	const char *name;       /* PART_DOCUMENT: a file name */
	const char *detail;     /* PART_IMAGE: "low", "high", "auto" */
	uint32_t width, height; /* PART_IMAGE, if known */
};

enum role { ROLE_USER, ROLE_ASSISTANT };

struct llm_message {
	enum role role;
	const struct llm_part *parts;
	size_t count;
};

enum output_format { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_MARKDOWN, OUTPUT_HTML };

struct llm_question {
	const struct model *model;          /* the entry whose rules hold */
	const char *model_id;               /* as it is sent: a dated id, a deployment's name */
	const char *system;                 /* or NULL */
	const struct llm_message *messages; /* at least one; the last is the user's */
	size_t count;
	uint32_t max_tokens;
	struct maybe temperature, top_p, frequency_penalty, presence_penalty;
	const char *const *stop; /* ends with NULL; or NULL */
	enum effort effort;
	enum output_format format;
	const cJSON *schema; /* for OUTPUT_JSON, already what the wire can take; or NULL */
	bool schema_strict;  /* every property required, nothing additional: OpenAI's strict mode */
	const char *schema_name;
	const cJSON
		*options; /* the operation's providerOptions: merged into the body last; or NULL */
	const char *call_id;   /* <job>#<step>#<n>: sent as X-Client-Request-Id */
	const char *cache_key; /* the same for prompts that begin alike; or NULL */
	bool cache_system;     /* mark the system text as worth caching */
	bool stream;
	bool background; /* the provider makes the answer by itself: it is fetched (struct background) */
};

/* How the key is sent. */
enum auth_style {
	AUTH_DEFAULT,   /* as the provider, or the preset, wants it */
	AUTH_BEARER,    /* Authorization: Bearer KEY */
	AUTH_X_API_KEY, /* x-api-key: KEY */
	AUTH_API_KEY,   /* api-key: KEY (Azure) */
	AUTH_GOOGLE,    /* x-goog-api-key: KEY */
	AUTH_NONE
};

enum auth_style
auth_find(const char *name); /* "x-api-key"; NULL and what is unknown: AUTH_DEFAULT */

/* Where it goes: made by llm.c from the configuration, for one provider and one credential. */
struct preset;
struct endpoint {
	const char *id;                    /* "openai", "openai-compatible:local" */
	const char *base_url;              /* without a slash at the end */
	const char *key;                   /* or NULL */
	const struct http_header *headers; /* further ones, ends with {NULL}; or NULL */
	const struct preset *preset;       /* never NULL */
	enum auth_style auth;
	const char *api_version;                        /* or NULL: the provider's default */
	const char *organization, *project, *workspace; /* or NULL */
	const char *betas;                              /* "a,b", or NULL */
	uint64_t context_size; /* Ollama: num_ctx to ask for; 0: leave it */
};

/* How a server that speaks OpenAI's format differs from the others. OpenAI itself is one. */
struct preset {
	const char *name, *default_url; /* the latter or NULL */
	enum auth_style auth;
	const char *max_tokens_name; /* "max_tokens" or "max_completion_tokens" */
	bool usage_in_stream;        /* takes stream_options.include_usage */
	bool schema;                 /* takes response_format json_schema */
	bool effort;                 /* takes reasoning_effort */
	bool effort_high_or_none;    /* ... but only these two */
	bool detail;                 /* takes the detail of a picture */
	bool pdf_file, pdf_url;      /* PDF as a file part, as a document_url */
	bool responses;              /* has /responses, for models that need it */
	bool context_option;         /* takes options.num_ctx */
	bool cuts_silently;          /* a prompt that is too long is cut without a word */
	bool is_free;                /* a model without a price costs nothing */
	uint32_t context;            /* of a model that says nothing; 0: 128000 */
	uint32_t concurrency;        /* default; 0: no limit of its own */
	uint32_t patience_ms;        /* how long an answer may take by default; 0: as everywhere */
};

extern const struct preset preset_openai; /* the one of api.openai.com, and of the other wires */
const struct preset *preset_find(const char *name); /* "generic" for NULL; NULL: there is none */

/* ---- the answer ---- */

enum llm_finish {
	FINISH_STOP,
	FINISH_LENGTH,   /* its own limit, or the window is full */
	FINISH_FILTERED, /* refused or cut by a filter; text may hold what came before */
	FINISH_TOOL,     /* wants a tool */
	FINISH_BROKEN    /* the provider itself calls the answer unusable */
};

const char *finish_name(enum llm_finish f); /* "stop", "length", ... */

struct llm_usage {
	bool known;
	uint64_t input;  /* all of it, cached or not */
	uint64_t output; /* all of it, reasoning too */
	uint64_t reasoning, cached, cache_write;
};

struct llm_answer {
	struct str text;
	struct str reasoning; /* empty: none was given */
	enum llm_finish finish;
	const char *detail; /* the provider's own word: "max_output_tokens", "SAFETY"; or NULL */
	struct llm_usage usage;
	const char *request_id, *model; /* or NULL */
};

struct llm_reply {
	int status;
	const struct http_header *headers; /* names in lower case */
	size_t header_count;
	struct str body;
	uint64_t now_ms; /* time of day, for headers that name an instant */
};

/* An answer that comes in pieces. */
struct provider;
struct llm_stream {
	const struct provider *provider;
	struct arena *arena;
	struct buf text, reasoning; /* what has come so far */
	struct llm_answer answer;   /* the rest of it; text and reasoning by stream_end() */
	bool complete;              /* the protocol's own end was seen */
	struct error err;           /* an error inside the stream */
	struct sse sse;
};

/* ---- the provider ---- */

/* What a provider's token limit counts: what was used, or max(prompt, max_tokens) at the door. */
enum quota { QUOTA_USAGE, QUOTA_ARRIVAL };

/* An answer that is made without anybody waiting on a connection. It is there for some minutes. */
struct background {
	/* Of a good reply: the name of an answer that is not ready; NULL: it is no such reply. */
	const char *(*handle)(const cJSON *body, struct arena *a);
	/* The request that fetches it, or (stop) says that nobody wants it any more. */
	void (*fetch)(const char *handle, bool stop, const struct endpoint *e, struct arena *a,
		      struct http_request *req);
};

struct provider {
	const char *name, *default_url;
	enum auth_style default_auth;
	const char *default_version; /* or NULL */
	enum quota quota;
	double temperature_max;
	uint32_t stop_max;  /* how many stop sequences it takes */
	uint32_t image_max; /* bytes of one picture */
	/* Fills in method, url, headers and body. Fails only with ERR_INVALID_PAYLOAD. */
	bool (*write)(const struct llm_question *q, const struct endpoint *e, struct arena *a,
		      struct http_request *req, struct error *err);
	/* The body of a reply of status 2xx that holds no error. What is kept of it is copied.
	 * ERR_INVALID_RESPONSE, or the error that is inside. */
	bool (*read)(const cJSON *body, struct arena *a, struct llm_answer *answer,
		     struct error *err);
	/* One event of a stream that is no error. Sets s->complete or s->err, or adds. */
	void (*event)(struct llm_stream *s, struct str name, const cJSON *data);
	const struct background *background; /* NULL: it can not */
};

extern const struct provider provider_openai, provider_openai_responses, provider_anthropic,
	provider_google, provider_compatible;

/* "openai", "openai-compatible", "openai-compatible:<name>"; NULL: there is none. */
const struct provider *provider_find(const char *name);
/* The one that speaks for this model: OpenAI's Responses where the model needs it. */
const struct provider *provider_for(const struct provider *p, const struct endpoint *e,
				    const struct model *m);
const struct provider *const *provider_table(size_t *count);

/* ---- what all of them share (provider.c) ---- */

/* Reads any reply: an error status, an error with status 200, a page of HTML, or p->read(). The
 * answer's request_id is set even when it fails. */
bool provider_read(const struct provider *p, const struct llm_reply *reply, struct arena *a,
		   struct llm_answer *answer, struct error *err) NODISCARD;

/* A header of a reply, or NULL; the name in lower case. */
const char *reply_header(const struct llm_reply *reply, const char *name);

/* How the provider calls this exchange; NULL: it does not say. */
const char *reply_request_id(const struct llm_reply *reply, struct arena *a);

/* What a reply's headers say of the limits; -1: nothing. */
struct llm_limits {
	int64_t limit_requests, remaining_requests, limit_tokens, remaining_tokens;
};
void provider_limits(const struct llm_reply *reply, struct llm_limits *limits);

/* A stream: start, feed with what comes, end. It must live as long as the arena. */
enum { STREAM_TEXT_MAX = HTTP_REPLY_MAX };
void stream_init(struct llm_stream *s, const struct provider *p, struct arena *a);
void stream_feed(struct llm_stream *s, struct str piece);
/* ERR_UNAVAILABLE with detail "STREAM_INTERRUPTED" if it was cut; the answer holds what came. */
bool stream_end(struct llm_stream *s, struct llm_answer *answer, struct error *err) NODISCARD;

#endif
