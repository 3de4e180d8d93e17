-- lib.lua: what all scripts share; it is put in front of each of them.
--
-- The other files whose first line names a file (groups.lua, ends.lua, ...) are parts, too: a script that
-- needs some says so in the line "With:" of its head, in the order in which they build on each other. A
-- script runs as a whole each time, and each function that it defines costs a microsecond, used or not: so there
-- are parts, and so what is rarely needed is defined where it is needed.
--
-- KEYS[1] is the prefix; all other keys are made from it, so they live in one slot of a cluster. The
-- clock is the server's. Every script may be sent again after its reply was lost: the second time it
-- finds its work done and says so.
--
-- KEYS (behind the prefix)
--   in                 stream    the door
--   j:<id>             hash      state ready active delayed parked ambiguous next dead quarantined; lane
--                                route tenant seq fence owner losses max code cancel reply dedup filed
--                                batch item; permit, call_end: of the provider call under way; nano;
--                                waits: what it waited for when it was parked last, in words
--   b:<id>             string    the body
--   s:<id>             hash      what is stored for the job: step:<key>, note:<key>, and for calls
--                                call:<step>#<n> = <sent|lost|answered> <question> <end ms> <permit>,
--                                won:<step>#<question> = <n>, answer:<step>#<n>,
--                                handle:<step>#<n>: an answer that the provider makes by itself
--   q:<group>          zset      waiting ids by arrival; a group is <route>|<lane>|<tenant>
--   rdy, fin, vt       zset, zset, string   groups by virtual time; that of idle ones; the clock
--   thr, rmp           zset, hash   sleeping groups by time; how many jobs one that woke may give at once
--   dly, lse           zset      due times; ends of leases: the only truth about who runs; members of lse, px and cs
--                                end in LONG
--   dead, quar         zset      by time; seen zset: those that a person has looked at; kept: bytes of all of them
--   res:<id>, log:<id> string    the result, the steps, for a while
--   dd:<key>, nx:<key> string    who holds a dedup key; who comes after; nxs zset: all who come after
--   pz:<item>          hash      how often an item crashed or failed
--   itm                zset      what is kept of items after their jobs, by its end: job or ca, item, id or digest
--   win:<scope>|<kind> hash      a sliding window: used per bucket, and SUMS: windows.lua
--   cs:<scope>         zset      permits that hold a slot, by end; wt:<scope> set: groups waiting for one
--   bud:<scope>:<period> hash    s spent, r reserved, u unconfirmed; integers in nano-dollars
--   rl:<route>         hash      only of a route that is not well, or was not: until: cool-down; f: factor; circuit
--                                breaker; dry: why nobody is asked although all works: no credit is left there; dry_at
--   tr                 hash      traffic by route, packed: calls.lua
--   qw:<route>         set       parked jobs that wait for that; qw:paused:...: for somebody who lets it go on
--   rl:directus        hash      while Directus is away: open, until, probe as with routes; jobs that wait for it have the
--                                route "directus", and their own in `home`; wt:directus: their groups
--   slow               zset      routes that were told to be slower, or do not work, by time
--   p:<permit>, px     string, zset  what a call reserved, see calls.lua; when its owner is taken for dead
--   ca:<digest>        string    an answer for the cache: when, what it cost, the text; cq: the permit that is asking
--                                for it now; cw: set of jobs that wait for that
--   past:<route>|<step>|<method> list   what the last calls of a step show, the newest first: numbers, see
--                                operations/calibration.h
--   scp                zset      scopes by last use
--   bt:<batch>         hash      jobs of a batch by state; nano, tokens
--   bat:<batch>        hash      a batch: state (listing running paused budget done cancelled), body of the job that
--                                made it, job that drives it, cursor, fed, gone, total, budget, n:<status>
--   bk:<batch>         list      what it runs for: keys, or rows of an input; as JSON
--   bi:<batch>         hash      what became of each item: [status, code, nano, ms, tokens, message]
--   bu:<batch>         hash      what its writes replaced, for `batch revert`
--   bh:<flow>          hash      the last question about an item, for `onlyChanged`
--   bats               zset      batches by time
--   cfg                hash      paused, paused:route:<r>, paused:tenant:<t>
--   n, m:<minute>      hash      counters since ever; what they were when the minute began
--   use:<day>          hash      calls, tokens and money by flow and route, packed: calls.lua
--   ev, w:<worker>     stream, hash   events; heartbeat; wrk zset: workers by their last one
--   hold               string    while it is there nobody is taken for dead
--   v                  string    layout version; ctl  channel
local P = KEYS[1]
local call = redis.call
local clock = call('TIME')
local now_text = clock[1] .. ('00000' .. clock[2]):sub(-6, -4)
local now = tonumber(now_text)
local DAY = 86400000

local function K(name)
  return P .. name
end

-- The named fields of a hash as a table; missing ones are nil.
local function fields(key, ...)
  local got, names = call('HMGET', key, ...), {...}
  for i = 1, #names do
    got[names[i]] = got[i] or nil
  end
  return got
end

local function number(text)
  return tonumber(text or '0') or 0
end

-- A whole number as a text, for a command: for that Redis takes longer. In two parts, since a C long may have 32 bits.
local function whole(n)
  if n < 1000000 then
    return string.format('%d', n)
  end
  return string.format('%d%06d', n / 1000000, n % 1000000)
end

-- A sorted set of up to 128 members of up to 64 bytes is a list to Redis: each command searches it from the beginning,
-- which takes four times as long at 64 members as in the tree that it is with a longer one. So those that each call
-- changes (lse, px, cs) have this behind each member; in the same way a window has a field with a long name.
local LONG = '|                                                               '

local function short(member)
  return member:sub(-#LONG) == LONG and member:sub(1, -#LONG - 1) or member
end

-- What several things that one command tells of change together is written once, when all of them are done (done()).
local counts, last_words = {}, {}

local function count(name, by)
  counts[name] = (counts[name] or 0) + (by or 1)
end

local function at_the_end(fn)
  last_words[#last_words + 1] = fn
end

-- The script has come to its end with this reply, or with this error: embed.cmake puts it around what follows. What was
-- done before an error stays, so it is counted.
local function done(is_well, reply)
  for name, by in pairs(counts) do
    call('HINCRBY', K('n'), name, whole(by))
  end
  for _, fn in ipairs(last_words) do
    fn()
  end
  if not is_well then
    error(reply, 0)
  end
  return reply
end

local function event(what, id, more)
  call('XADD', K('ev'), 'MAXLEN', '~', '10000', '*', 'e', what, 'id', id, 'more', more or '')
end
