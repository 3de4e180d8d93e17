/* operations/media.h: what bytes are, by their first ones, not by their name. */
#ifndef OPERATIONS_MEDIA_H
#define OPERATIONS_MEDIA_H

#include "common/arena.h"

struct media {
	const char *type;       /* "image/png", "application/pdf"; NULL: none that is known here */
	uint32_t width, height; /* of a picture; 0: it can not be read */
};

struct media media_sniff(struct str bytes);

/* The base64 text of bytes, ended by NUL. */
const char *media_base64(struct arena *a, struct str bytes);

#endif
