"""Chat templates that mean harm."""

from benchmarks.hostile.row import Row
from zoo import chat


def growing(start, step, end="{{ ns.s }}"):
    """A template that repeats a step sixty times."""
    loop = f"{{% for i in range(60) %}}{{% set ns.s = {step} %}}{{% endfor %}}"
    return f"{{% set ns = namespace(s={start}) %}}{loop}{end}"


STEPS, REACH = "takes more than", "is out of its reach"
SIZE = f"makes something of a size over|{STEPS}"  # what comes first, the machine may decide
LONG = "x" * 60_000
MANY = "{% for i in range(100000) %}"
DEEP = "maximum recursion depth exceeded"
BAD = {  # what the error says
    "loops": (f"{MANY * 2}{{% endfor %}}{{% endfor %}}", STEPS),
    "calls": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) ~ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        STEPS,
    ),
    "endless call": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", DEEP),
    "endless loop": ("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", DEEP),
    "times": ("{{ 'a' * 1000000000 }}", "is not for templates"),
    "power": ("{{ 10 ** 10 ** 10 }}", "is not for templates"),
    "format": ("{{ '%1000000000d' % 1 }}", "is not for templates"),
    "format method": ("{{ '{:>1000000000}'.format(1) }}", REACH),
    "center": ("{{ 'a'.center(1000000000) }}", REACH),
    "center filter": ("{{ 'a' | center(1000000000) }}", "No filter named 'center'"),
    "joined texts": (growing("'ab'", "ns.s ~ ns.s"), SIZE),
    "added texts": (growing("'ab'", "ns.s + ns.s"), SIZE),
    "added lists": (growing("[1]", "ns.s + ns.s"), SIZE),
    "lists": (growing("[1]", "[ns.s, ns.s]"), SIZE),
    "tuples": (growing("[1]", "(ns.s, ns.s)"), SIZE),
    "dicts": (growing("[1]", "{'a': ns.s, 'b': ns.s}"), SIZE),
    "dict": (growing("[1]", "dict(a=ns.s, b=ns.s)"), SIZE),
    "sums": (growing("[1]", "[ns.s, ns.s] | sum(start=[])"), SIZE),
    "replace": (growing("'aaaaaaaaaa'", "ns.s | replace('a', ns.s)"), SIZE),
    "replace method": (growing("'aaaaaaaaaa'", "ns.s.replace('a', ns.s)"), SIZE),
    "join method": (growing("'aaaaaaaaaa'", "ns.s.join(ns.s | list)"), SIZE),
    "numbers": (growing("9", "ns.s * ns.s"), "makes a number over"),
    "text": (f"{MANY}{LONG}{{% endfor %}}", SIZE),
    "text that is kept": (f"{{% set x %}}{MANY}{LONG}{{% endfor %}}{{% endset %}}", SIZE),
    "indent": ("{{ 'a\n' | indent(1000000) }}", "an indent must be at most 64"),
    "tojson": ("{{ messages | tojson(indent=100000000) }}", "an indent must be at most 64"),
    "date": ("{{ strftime_now('%999999999d') }}", "a date must be written by plain codes"),
    "class": ("{{ ''.__class__ }}", f"'__class__' of str {REACH}"),
    "class by item": ("{{ ''['__class__'] }}", REACH),
    "class by filter": ("{{ '' | attr('__class__') }}", "No filter named 'attr'"),
    "class by map": ("{{ messages | map(attribute='__class__') | list }}", REACH),
    "globals": ("{{ raise_exception.__globals__ }}", REACH),
    "code": ("{{ raise_exception.__code__ }}", REACH),
    "self": ("{{ self.__init__ }}", REACH),
    "append": ("{{ messages.append(1) }}", REACH),
    "clear": ("{{ messages[0].clear() }}", REACH),
    "include": ("{% include '/etc/passwd' %}", "no loader"),
    "extends": ("{% extends 'x' %}", "no loader"),
    "import": ("{% import 'os' as os %}", "no loader"),
    "deep": (f"{{{{ {'(' * 3000}1{')' * 3000} }}}}", DEEP),
    "nested": ("{% for a in range(2) %}" * 30 + "{% endfor %}" * 30, "statically nested"),
    "no Jinja": ("{% for %}", "Expected an expression"),
    "unknown tag": ("{% do messages %}", "unknown tag 'do'"),
    "long": ("x" * 2**17, "must be at most 65536 characters; got 131072"),
    "its own words": ("{{ raise_exception('Only one turn.') }}", "messages: Only one turn. Ch"),
}
MESSAGES = [{"role": "user", "content": "Hi."}]


def render(template):
    return chat.render(template, chat.as_messages(MESSAGES))


ROWS = tuple(
    Row("chat template", case, lambda folder, t=template: t, render, message, "chat template")
    for case, (template, message) in BAD.items()
)
