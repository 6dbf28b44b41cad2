"""Conversations: messages in, the next one out, by the template that a model was trained with."""

from collections.abc import Iterator, Sequence

from zoo import chat
from zoo.arguments import Text
from zoo.checks import require_flag, shown
from zoo.generation import Beam, Request, Sampler
from zoo.generation.usual import usual_length

NEW_TOKENS = 256
CHAT_TEMPLATE = Text(chat.MAX_TEMPLATE)


class ChattingTask:
    """A task that continues conversations; its `chat_template` is Jinja text, or None.

    Text that a message holds stays text: what looks like a special token there, such as the end of
    a turn, is none to the model.
    """

    def chat(
        self,
        messages: str | Sequence[dict],
        max_new_tokens: int | None = None,
        sampler: str | Sampler | Beam | None = None,
        seed: int | Sequence[int] | None = None,
        stop: str | Sequence[str] | None = None,
        truncate: bool = False,
        template_arguments: dict | None = None,
        **others,
    ) -> str:
        """What the assistant says next.

        Args:
            messages: a list of dicts with a `"role"`, such as `"system"`, `"user"` or
                `"assistant"`, and a `"content"`, both text; or a string, which the user says.
            max_new_tokens, sampler, seed, stop, truncate, others: those of `generate`; 256 new
                tokens where neither says how many.
            template_arguments: a dict of what else the template may read, such as
                `{"enable_thinking": False}`.

        Returns:
            A string.

        Raises:
            ValueError: the model has no template, which then does not take these messages, or they
                do not fit into the context.
            TypeError: messages that are none.
        """
        length = usual_length(self.usual_request, max_new_tokens, NEW_TOKENS)
        asked = {"max_new_tokens": length, "truncate": truncate, "caller": "chat"}
        request = self._chat_request(sampler, seed, stop, others, **asked)
        row = self.encode_chat(messages, **checked_variables(template_arguments))
        request = self._shortened(request, [row], max_new_tokens)
        ((reply,),) = self.write(self.fitted([row], request), request, is_text=True)
        return reply

    def stream_chat(
        self,
        messages: str | Sequence[dict],
        max_new_tokens: int | None = None,
        sampler: str | Sampler | Beam | None = None,
        seed: int | Sequence[int] | None = None,
        stop: str | Sequence[str] | None = None,
        truncate: bool = False,
        template_arguments: dict | None = None,
        **others,
    ) -> Iterator[str]:
        """As `chat`, yielding the text as it comes; joined, it is what `chat` returns."""
        length = usual_length(self.usual_request, max_new_tokens, NEW_TOKENS)
        asked = {"max_new_tokens": length, "truncate": truncate, "caller": "stream_chat"}
        request = self._chat_request(sampler, seed, stop, others, **asked)
        row = self.encode_chat(messages, **checked_variables(template_arguments))
        request = self._shortened(request, [row], max_new_tokens)
        return self.stream_row(*self.fitted([row], request), request, is_text=True)

    def _chat_request(self, sampler, seed, stop, others, **asked):
        request = Request.make(self, sampler=sampler, seed=seed, stop=stop, others=others, **asked)
        if request.num_return > 1:
            raise ValueError(
                f"{asked['caller']} gives one reply; got num_return={request.num_return}. Use "
                "generate with model.encode_chat(messages) for several."
            )
        return request

    def encode_chat(
        self, messages: str | Sequence[dict], add_generation_prompt: bool = True, **variables
    ) -> list[int]:
        """Token ids of a conversation, as the template writes it.

        Args:
            messages: as for `chat`.
            add_generation_prompt: bool, whether the assistant's turn is begun at its end.
            **variables: what else the template may read.
        """
        require_flag("add_generation_prompt", add_generation_prompt)
        tokenizer = self.require_tokenizer()
        if self.chat_template is None:
            raise ValueError(
                "This model has no chat template: it was not made for conversations, or came "
                "without its template. Use generate, or load it with chat_template='...'."
            )
        roles = {"bos_token": self.special_tokens.start, "eos_token": self.special_tokens.end}
        roles |= {"pad_token": self.special_tokens.padding}
        names = {
            name: tokenizer.id_to_token(token_id)
            for name, token_id in roles.items()
            if token_id is not None and token_id < tokenizer.vocab_size
        }
        messages, hidden = chat.hide(chat.as_messages(messages), tokenizer.special_ids)
        text = chat.render(
            self.chat_template,
            messages,
            add_generation_prompt=add_generation_prompt,
            **names | variables,
        )
        if not hidden:
            return tokenizer.encode(text, allow_special=True)
        parts = chat.split(text, tokenizer.special_ids)
        return [
            token_id
            for part in parts
            for token_id in (
                [part] if isinstance(part, int) else tokenizer.encode(chat.show(part, hidden))
            )
        ]


def checked_variables(given):
    """What a template may read besides, a dict; raises TypeError for anything else."""
    if not isinstance(given, dict | None):
        raise TypeError(f"template_arguments must be a dict or None; got {shown(given)}.")
    return given or {}
