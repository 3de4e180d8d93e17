/* operations/attachments.h: files for a model, as bytes.
 *
 *	{"type":"file","fileId":"<uuid>","detail":"low|high|auto"}   a file of Directus
 *	{"type":"url","url":"https://…"}                             an address, guarded
 *	"<uuid>"                                                     short for the first
 *
 * A file is read from /assets with the worker's own token, pictures made to fit by Directus, and
 * handed over as bytes: neither an address nor a token ever goes to a provider. What it is its first
 * bytes say. An address of this Directus' own /assets is taken as the file that it names; any other is
 * fetched without a token, and not from this machine's or a cloud's inner networks. */
#ifndef OPERATIONS_ATTACHMENTS_H
#define OPERATIONS_ATTACHMENTS_H

#include "common/directus.h"
#include "operations/operation.h"
#include "operations/providers/provider.h"

enum { ATTACHMENTS_MAX = 20, ATTACHMENT_MAX_BYTES = 32 * 1024 * 1024 };

struct attachments_call {
	struct task task; /* await &c.task.call */
	struct op_call *op;
	const cJSON *list;
	uint32_t resize; /* pictures are made to fit in a box of this side; 0: as they are */

	/* out: */
	struct llm_part *parts; /* PART_TEXT for files of text */
	size_t count;

	/* attachments.c's own */
	const cJSON *item;
	const char *id;          /* of the file under way */
	unsigned try;            /* which way of resizing */
	const char *name, *mime; /* what Directus says of it */
	struct directus_call directus;
	struct http_call http;
	struct http_request request;
};

/* ERR_INVALID_PAYLOAD, ERR_ATTACHMENT_UNSUPPORTED, ERR_ATTACHMENT_TOO_LARGE, what Directus says. */
void attachments_start(struct attachments_call *c, struct op_call *op, const cJSON *list,
		       uint32_t resize);

#endif
