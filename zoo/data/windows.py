"""Overlapping windows over texts that are longer than a model's context."""


def windows(num_tokens, size, stride):
    """Overlapping windows that together cover `num_tokens` tokens.

    Args:
        num_tokens: int, tokens of the whole text.
        size: int, tokens of a window.
        stride: int, how far one window starts after the one before it: `size - stride` overlap.

    Returns:
        A list of `(start, end)`, the end not included. All but the last have exactly `size`
        tokens. A text that fits, an empty one too, is the one window `(0, num_tokens)`.

    Raises:
        ValueError: unless `1 <= stride <= size`: some tokens would stand in no window.
    """
    if not 1 <= stride <= size:
        raise ValueError(
            "Windows must overlap or touch, which takes 1 <= stride <= size; "
            f"got size={size} and stride={stride}."
        )
    # Of the windows that start at a multiple of the stride, the last is the first to reach the end.
    steps = -(-max(num_tokens - size, 0) // stride)
    starts = range(0, steps * stride + 1, stride)
    return [(start, min(start + size, num_tokens)) for start in starts]


def best_window(position, windows):
    """Index of the window that shows most of what stands around a token.

    A token may stand in several windows, at the edge of one and in the middle of another. The best
    has the most tokens on the token's poorer side; the first of several such windows wins.

    Args:
        position: int, the token's position in the whole text.
        windows: sequence of `(start, end)`, as of `windows()`.

    Raises:
        ValueError: if the token stands in no window.
    """
    context = [min(position - start, end - 1 - position) for start, end in windows]
    if max(context, default=-1) < 0:
        raise ValueError(f"Token {position} must stand in one of the windows; got {windows}.")
    return context.index(max(context))
