/* What the kinds of errors are called on each wire. To add one: a row, and a line in README.md. */
#include "simulator.h"

static const struct error_kind kinds[] = {
	{"bad_request",           400, "invalid_request_error",     "invalid_value",                        400, "invalid_request_error",
	 400,																  "INVALID_ARGUMENT",  NULL,              "Invalid value."                                           },
	{"unsupported_parameter", 400, "invalid_request_error",     "unsupported_parameter",                400,
	 "invalid_request_error",													 400, "INVALID_ARGUMENT",  NULL,              "Unsupported parameter."                                   },
	{"invalid_key",           401, "invalid_request_error",     "invalid_api_key",                      401,
	 "authentication_error",													  400, "INVALID_ARGUMENT",  "API_KEY_INVALID",
	 "API key not valid. Please pass a valid API key."																							},
	{"permission",            403, "invalid_request_error",     "unsupported_country_region_territory", 403,
	 "permission_error",													      403, "PERMISSION_DENIED", NULL,              "Not allowed."                                             },
	{"not_found",             404, "invalid_request_error",     "model_not_found",                      404, "not_found_error",       404,
	 "NOT_FOUND",																	       NULL,              "The model does not exist or you do not have access to it."},
	{"context",               400, "invalid_request_error",     "context_length_exceeded",              400,
	 "invalid_request_error",													 400, "INVALID_ARGUMENT",  NULL,
	 "prompt is too long: 208310 tokens > 200000 maximum; this model's maximum context length, "
	 "the input token count exceeds the maximum number of tokens allowed"																				     },
	{"content",               400, "invalid_request_error",     "content_policy_violation",             400,
	 "invalid_request_error",													 400, "INVALID_ARGUMENT",  NULL,              "Rejected by the safety system."                           },
	{"too_large",             413, "invalid_request_error",     "request_too_large",                    413, "request_too_large",
	 413,																  "INVALID_ARGUMENT",  NULL,              "Request too large."                                       },
	{"rate_limit",            429, "requests",                  "rate_limit_exceeded",                  429, "rate_limit_error",      429,
	 "RESOURCE_EXHAUSTED",																      "PerMinute",       "Rate limit reached. Please try again later."              },
	{"rate_limit_tokens",     429, "tokens",                    "rate_limit_exceeded",                  429, "rate_limit_error",      429,
	 "RESOURCE_EXHAUSTED",																      "PerMinute",       "Rate limit reached on tokens per min (TPM)."              },
	{"slow_down",             429, "rate_limit_error",          "slow_down",                            429, "rate_limit_error",      429,
	 "RESOURCE_EXHAUSTED",																      "PerMinute",       "Slow down."                                               },
	{"quota",                 429, "insufficient_quota",        "insufficient_quota",                   402, "billing_error",         429,
	 "RESOURCE_EXHAUSTED",																      "PerDay",
	 "You exceeded your current quota, please check your plan and billing details."																			   },
	{"conflict",              409, "invalid_request_error",     "conflict",                             409, "conflict_error",        409,
	 "ABORTED",																		 NULL,              "Conflict."						},
	{"server_error",          500, "server_error",              NULL,                                   500, "api_error",             500, "INTERNAL",          NULL,
	 "The server had an error while processing your request."																						 },
	{"overloaded",            503, "service_unavailable_error", "server_is_overloaded",                 529,
	 "overloaded_error",													      503, "UNAVAILABLE",       NULL,              "Overloaded"                                               },
	{"timeout",               504, "server_error",              "timeout",                              504, "timeout_error",         504, "DEADLINE_EXCEEDED",
	 NULL,																					 "Timed out."					       },
};

const struct error_kind *error_kind_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}
