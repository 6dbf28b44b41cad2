"""Chat templates that models came with; those that mean harm are in benchmarks/hostile."""

IM_START = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}"
    "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
    "{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}"
    "{% endif %}{% endfor %}"
)
BLOCKS = """
{%- set ns = namespace(last=0, parts=[]) -%}
{%- macro shown(message) -%}
    {{ message.content | trim | replace('\\n', ' ') }}
    {%- if message.get('name') %} ({{ message.name }}){% endif %}
{%- endmacro -%}
{%- for message in messages | selectattr('role', 'ne', 'system') -%}
    {%- if message.role == 'tool' %}{% continue %}{% endif %}
    {%- set ns.last = loop.index %}
    {%- set ns.parts = ns.parts + [shown(message)] %}
    {% generation %}{{ loop.index0 ~ ': ' ~ ns.parts[-1] }}{% endgeneration %}

{% endfor -%}
{{ ns.parts | length }}/{{ ns.last }} {{ messages | tojson }}
{%- if tools is defined and tools %}
    {{- tools | map(attribute='name') | join(', ') | upper }}
{%- endif -%}
{{ {'a': 1, 'b': [true, none]} | tojson(indent=2) | indent(3) }}
"""
GOOD = {"im_start": IM_START, "llama 2": LLAMA2, "blocks": BLOCKS}
