#!/usr/bin/env bash
# Who may include and call what: common <- operations <- worker, and each library in its own place.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0

# forbid WHERE PATTERN WHY [FILES THAT MAY]
forbid() {
	local where=$1 pattern=$2 why=$3 may=${4:-^$}
	local found
	found=$(grep -rnE --include='*.c' --include='*.h' "$pattern" $where | grep -vE "^($may):")
	if [ -n "$found" ]; then
		echo "$why:"
		echo "$found" | sed 's/^/    /'
		bad=1
	fi
}

all="common operations worker"
forbid common '#include "(operations|worker)/' 'common may use neither operations nor worker'
forbid operations '#include "worker/' 'operations may not use worker'
forbid operations/providers '#include "operations/[^p]' 'a provider may use common/ and its own folder only'
forbid 'worker/batch worker/door worker/flow worker/notice worker/queue worker/schedule' '#include "worker/(cli|admin|worker)[/.]' 'what runs jobs knows no command'
forbid "$all" '#include <curl/' 'only common/http*.c uses libcurl' 'common/http(_[a-z]+\.[ch]|\.c)'
forbid "$all" '#include <hiredis/' 'only common/redis.c uses hiredis' 'common/redis[a-z_]*\.c'
forbid "$all" '#include <uv\.h>' 'only the loop and the connections use libuv' 'common/(loop|http|redis)[a-z_]*\.c'
forbid "$all" '#include <microhttpd' 'only the door uses libmicrohttpd' 'worker/door/door[a-z_]*\.[ch]'
forbid "$all" '\b(getenv|secure_getenv)\(' 'only common/config.c reads the environment, and cron.c lends the time zone' 'common/crashpoint\.c|common/config[a-z_]*\.c|worker/schedule/cron\.c'
forbid "$all" '\bcJSON_(Create|Parse|Print|Add|Duplicate|Delete|Detach|Replace|Insert|InitHooks|Minify)[A-Za-z]*\(' \
	'cJSON trees are made and changed through common/json.h' 'common/json\.c'
forbid "$all" '\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|gets|alloca)\(' 'a function that is never right'
forbid "$all" '(^|[^a-z_])(malloc|calloc|realloc|strdup)\(' 'memory comes from an arena, a buf, or xmalloc()' 'common/(arena|json)\.c'
exit $bad
