"""A row of the matrix."""

import dataclasses

VOCAB_SIZE = 131
LABELS = {"id2label": {0: "joy", 1: "anger", 2: "fear"}}


@dataclasses.dataclass(frozen=True)
class Case:
    """A model of transformers.

    Args:
        family: its `model_type`.
        cls: the name of its class.
        config: a dict, arguments of its configuration's class.
        variant: str, what sets it apart from other rows of the class; `""` for the first.
        is_usual: bool, whether tests always run over it, or with `--everywhere` alone.
        padding_id: int, what stands in padded places.
    """

    family: str
    cls: str
    config: dict
    variant: str = ""
    is_usual: bool = True
    padding_id: int = 0

    @property
    def name(self):
        return f"{self.cls}: {self.variant}" if self.variant else self.cls


def variants(family, cls, config, changes, **fields):
    """A row for each change of a configuration, `{name of the variant: arguments}`."""
    for variant, change in changes.items():
        yield Case(family, cls, {**config, **change}, variant, **fields)
