"""Flows as people build them, for test_flows_compare.py: each is run by Directus itself and by the worker.

`start` says how Directus is made to run it: ("POST", body), ("GET", query), ("manual", body), or ("event", method, path,
body). URL stands for a local HTTP server, CHILD for the id of the flow `child`, ME for the admin's id. Six articles are
there at the start, with the keys 900001 to 900006, and one row of `signals`. `generated`: operations whose result is
keys that a database made up. `since_12_3`: operations that Directus did otherwise before (an item-delete without a key
deleted up to a hundred rows; a collection that is not there was a TypeError): left out there."""

FIRST = 900001
KEYS = [FIRST + i for i in range(6)]


def flow(name, trigger, options, *operations):
    """Operations are (key, type, options[, resolve[, reject]]); without `resolve` the next one follows."""
    made = []
    for i, (key, type, own, *links) in enumerate(operations):
        following = operations[i + 1][0] if i + 1 < len(operations) else None
        made.append({"key": key, "type": type, "options": own,
                     "resolve": links[0] if links else following, "reject": links[1] if len(links) > 1 else None})
    return {"name": name, "trigger": trigger, "options": options, "operations": made}


POST = {"method": "POST"}


def event(scope):
    return {"type": "action", "scope": [scope], "collections": ["signals"]}


def trigger(mode, **more):
    return flow(f"trigger {mode}", "webhook", POST, ("each", "trigger", {
        "flow": "CHILD", "payload": "{{$trigger.body.keys}}", "iterationMode": mode, **more}))


FIVE_HUNDRED = ("POST", {"keys": [f"key {i}" if i % 7 else i for i in range(500)]})
CHILD = dict(flow("child", "operation", {"return": "made"}, ("made", "transform", {
    "json": {"for": "{{$trigger}}", "text": "<{{$trigger}}>"}})), accountability=None)

COMPARED = [
    {"start": ("POST", {"n": 3, "text": "He said \"hi\"\n😀", "list": [1, "a", None, {"x": [True, 1.5, 1e21]}], "empty": "", "no": None}),
     "flow": flow(
         "values keep their types", "webhook", {**POST, "return": "shapes"},
         ("shapes", "transform", {"json": {
             "n": "{{$trigger.body.n}}", "text": "{{ $trigger.body.text }}", "list": "{{$trigger.body.list}}",
             "in text": "n={{$trigger.body.n}} list={{$trigger.body.list}} no={{$trigger.body.no}} none={{$trigger.body.none}}",
             "deep": [["{{$trigger.body.list[3].x[1]}}", "{{ $trigger.body['text'] }}"], {"{{n}}": "{{$trigger.body.empty}}"}],
             "method": "{{$trigger.method}}", "path": "{{$trigger.query}}"}}),
         ("as_text", "transform", {"json": "{\"a\": {{$trigger.body.list}}, \"b\": {{shapes.n}}}"}),
         ("say", "log", {"message": "{{as_text}}"}))},
    {"start": ("POST", {"status": "draft", "n": 12, "tags": ["news", "rye"], "title": "Slow Rye", "user": "x"}),
     "flow": flow(
         "nested conditions", "webhook", {**POST, "return": "$last"},
         ("is_draft", "condition", {"filter": {"$trigger": {"body": {"_and": [
             {"status": {"_in": ["draft", "review"]}}, {"n": {"_between": [10, "20"]}}]}}}}, "is_short", "no_draft"),
         ("no_draft", "transform", {"json": {"was": "no draft"}}, None),
         ("is_short", "condition", {"filter": {"$trigger": {"body": {"_or": [
             {"title": {"_starts_with": "Fast"}}, {"n": {"_lt": 3}}, {"tags": {"_contains": "crypto"}}]}}}}, "short", "is_tagged"),
         ("short", "transform", {"json": {"was": "short"}}, None),
         ("is_tagged", "condition", {"filter": {"$trigger": {"body": {"tags": {"_contains": "rye"}}},
                                                "$accountability": {"user": {"_eq": "$CURRENT_USER"}}}}, "tagged", "other"),
         ("tagged", "transform", {"json": {"was": "tagged", "why not short": "{{is_short[0].message}}"}}, "fails"),
         ("other", "transform", {"json": {"was": "other", "why": "{{$last}}"}}, None),
         ("fails", "condition", {"filter": {"tagged": {"was": {"_eq": "nothing"}, "none": {"_nnull": True}}}}))},
    {"start": ("manual", {"collection": "articles", "keys": [str(KEYS[0]), str(KEYS[2]), str(KEYS[1])], "lang": "de"}),
     "flow": flow(
         "manual", "manual", {"collections": ["articles"], "requireSelection": True},
         ("read", "item-read", {"collection": "articles", "key": "{{$trigger.body.keys}}", "permissions": "$full",
                                "query": {"fields": ["id", "title"], "sort": ["id"]}}),
         ("first", "item-read", {"collection": "articles", "key": ["{{read[0].id}}"], "query": {"fields": "title,content"}}),
         ("write", "item-update", {"collection": "articles", "key": "{{$trigger.body.keys}}", "emitEvents": False, "payload": {
             "summary": "{{$trigger.body.lang}}: {{first.title}} of {{read.length}}"}}),
         ("one", "item-update", {"collection": "articles", "key": "{{$trigger.body.keys[1]}}", "payload": {"content": "{{first.content}}"}}),
         ("say", "log", {"message": "{{write}}"}))},
    {"start": ("event", "PATCH", "/items/signals/1", {"article": KEYS[3], "text": "changed"}),
     "flow": flow(
         "event update", "event", event("items.update"),
         ("fits", "condition", {"filter": {"$trigger": {"payload": {"article": {"_gt": 900000}}, "event": {"_eq": "signals.items.update"}}}}),
         ("signal", "item-read", {"collection": "signals", "key": "{{$trigger.keys[0]}}", "query": {"fields": ["*"]}, "permissions": "$trigger"}),
         ("write", "item-update", {"collection": "articles", "key": "{{signal.article}}", "payload": {
             "title": "{{$trigger.payload.text}}", "meta_description": "{{$trigger.collection}} {{$trigger.keys}}"}}),
         ("after", "item-read", {"collection": "articles", "key": "{{write}}", "query": {"fields": ["id", "title", "meta_description"]}}))},
    {"start": ("event", "POST", "/items/signals", {"article": KEYS[4], "text": "new \"one\""}),
     "flow": flow(
         "event create", "event", event("items.create"),
         ("made", "transform", {"json": {"key": "{{$trigger.key}}", "payload": "{{$trigger.payload}}", "user": "{{$accountability.user}}"}}),
         ("write", "item-update", {"collection": "articles", "key": ["{{$trigger.payload.article}}"], "payload": {
             "summary": "{{made.payload.text}}", "content": None}}))},
    {"start": ("event", "DELETE", "/items/signals/2", None),
     "flow": flow(
         "event delete", "event", event("items.delete"),
         ("write", "item-update", {"collection": "articles", "key": str(KEYS[5]), "payload": {"summary": "{{$trigger}}"}}))},
    {"since_12_3": ["nothing"], "start": ("POST", {"titles": ["one", "two"]}),
     "flow": flow(
         "create and query", "webhook", {**POST, "return": "rows"},
         ("one", "item-create", {"collection": "articles", "payload": {"title": "{{$trigger.body.titles[0]}}", "content": "made"}}),
         ("two", "item-create", {"collection": "articles", "emitEvents": True, "payload": [
             {"title": "{{$trigger.body.titles[1]}}", "content": "made"}, {"title": "three", "content": "made"}]}),
         ("none", "item-create", {"collection": "articles"}),
         ("mark", "item-update", {"collection": "articles", "query": {"filter": {"content": {"_eq": "made"}}, "sort": ["id"]},
                                  "payload": {"summary": "{{one}}"}}),
         ("batch", "item-update", {"collection": "articles", "payload": [
             {"id": "{{one[0]}}", "title": "ONE"}, {"id": KEYS[0], "title": "FIRST"}]}),
         ("nothing", "item-update", {"collection": "articles", "payload": {}, "key": KEYS[0]}),
         ("rows", "item-read", {"collection": "articles", "query": "{\"filter\": {\"content\": {\"_eq\": \"made\"}}, \"sort\": [\"id\"], \"fields\": [\"title\", \"summary\"]}"}),
         ("count", "item-read", {"collection": "articles", "query": {"aggregate": {"count": ["*"]}}}))},
    {"since_12_3": ["nothing", "both", "unknown"], "start": ("POST", {"gone": f"{KEYS[0]},{KEYS[1]}"}),
     "flow": flow(
         "delete", "webhook", {**POST, "error_on_reject": False},
         ("one", "item-delete", {"collection": "articles", "key": KEYS[5], "permissions": "$full"}),
         ("csv", "item-delete", {"collection": "articles", "key": "{{$trigger.body.gone}}"}),
         ("query", "item-delete", {"collection": "articles", "query": {"filter": {"title": {"_contains": "3"}}}}),
         ("nothing", "item-delete", {"collection": "articles"}),
         ("rest", "item-read", {"collection": "articles", "query": {"fields": ["id"], "sort": "-id"}}),
         ("missing", "item-read", {"collection": "articles", "key": 4711}, None, "both"),
         ("both", "item-update", {"collection": "articles", "key": KEYS[2], "query": {"limit": 1}, "payload": {"title": "x"}}, None, "unknown"),
         ("unknown", "item-read", {"collection": "nosuch", "query": {}}, None, "end"),
         ("end", "transform", {"json": ["{{missing.code}}", "{{missing.message}}", "{{both.status}}", "{{$last.name}}"]}))},
    {"start": ("POST", {"name": "Ünï & co", "list": [1, 2]}),
     "flow": flow(
         "requests", "webhook", {**POST, "return": "$last"},
         ("get", "request", {"url": "URL/json?q={{$trigger.body.name}}", "headers": [{"header": "X-Test", "value": "a {{$trigger.body.list}}"}]}),
         ("post", "request", {"method": "POST", "url": "URL/echo", "body": {"all": "{{$trigger.body}}", "n": "{{get.data.n}}"}}),
         ("text", "request", {"method": "PUT", "url": "URL/echo", "body": "a text with {{get.status}}"}),
         ("json_text", "request", {"method": "PATCH", "url": "URL/echo", "body": "{\"list\": {{$trigger.body.list}}}"}),
         ("empty", "request", {"method": "DELETE", "url": "URL/nothing"}),
         ("moved", "request", {"url": "URL/moved"}),
         ("missing", "request", {"method": "GET", "url": "URL/missing"}, None, "refused"),
         ("refused", "request", {"url": "http://127.0.0.1:1/"}, None, "end"),
         ("end", "transform", {"json": {"status": "{{missing.status}}", "told": "{{missing.data.error}}", "code": "{{refused.code}}", "n": "{{get.data}}"}}))},
    {"start": ("GET", {"wait": "20", "code": "my_code"}),
     "flow": flow(
         "wait and throw", "webhook", {"method": "GET", "return": "end"},
         ("wait", "sleep", {"milliseconds": "{{$trigger.query.wait}}"}),
         ("bad_json", "transform", {"json": "{\"a\": "}, None, "template"),
         ("template", "transform", {"json": {"a": "{{ $trigger..query }}"}}, None, "throw"),
         ("throw", "throw-error", {"code": "{{$trigger.query.code}}", "status": "418", "message": "because {{$trigger.query.wait}}"}, None, "end"),
         ("end", "transform", {"json": ["{{throw.code}}", "{{throw.status}}", "{{throw.message}}", "{{template.name}}", "{{template.message}}", "{{bad_json.name}}"]}))},
    {"start": ("POST", {"who": "ME"}), "generated": ["note"],
     "flow": flow(
         "tokens and a notification", "webhook", POST,
         ("sign", "json-web-token", {"operation": "sign", "payload": {"sub": "{{$trigger.body.who}}", "n": 1}, "secret": "s-0001-not-a-secret",
                                     "options": {"noTimestamp": True, "issuer": "tests"}}),
         ("verify", "json-web-token", {"operation": "verify", "token": "{{sign}}", "secret": "s-0001-not-a-secret", "options": {"issuer": "tests"}}),
         ("decode", "json-web-token", {"operation": "decode", "token": "{{sign}}"}),
         ("expired", "json-web-token", {"operation": "sign", "payload": {"exp": 1000000000}, "secret": "s-0001-not-a-secret", "options": {"noTimestamp": True}}),
         ("refused", "json-web-token", {"operation": "verify", "token": "{{expired}}", "secret": "s-0001-not-a-secret"}, None, "note"),
         ("note", "notification", {"recipient": "{{$trigger.body.who}}", "subject": "{{refused.name}}", "message": "**{{verify.iss}}**",
                                   "collection": "articles", "item": str(KEYS[0])}))},
    {"start": FIVE_HUNDRED, "flow": trigger("parallel")},
    {"start": FIVE_HUNDRED, "flow": trigger("batch", batchSize=50)},
    {"start": FIVE_HUNDRED, "flow": trigger("serial")},
]
