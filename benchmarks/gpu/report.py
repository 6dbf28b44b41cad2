"""RESULTS-GPU.md: what was seen, a table for each question."""

GIB = 2**30
MARKS = {True: "pass", False: "**fail**", None: "told"}
PRECISIONS = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


def write_report(results, folder):
    text = "\n\n".join(part for part in sections(results) if part) + "\n"
    path = folder / "RESULTS-GPU.md"
    path.write_text(text, encoding="utf-8")
    return path


def sections(results):
    yield "# On a GPU"
    yield introduction(results.context)
    if results.of("acceptance"):
        yield "## Acceptance"
        yield summary(results.of("acceptance"))
        yield acceptance(results.of("acceptance"))
    if results.failed:
        yield "## What failed"
        yield failures(results.failed)
    heard = warnings_of(results.rows)
    if heard:
        yield "## What was warned of"
        yield heard
    if results.of("speed"):
        yield "## Speed"
        yield (
            "Weights in float32 and products in bfloat16; transformers writes with weights in "
            "bfloat16. The median of several laps on a warm device. MFU: the operations that "
            "the weights and attention's scores ask for, over those that the device can do."
        )
        yield speed(results.of("speed"))


def introduction(context):
    made = "Toy models, to try the program: the numbers mean nothing. " if context["quick"] else ""
    lines = [f"{made}Written by `python -m benchmarks.gpu`.", ""]
    for backend, device in context["devices"].items():
        details = ", ".join(
            f"{size(value) if name == 'memory' else f'{name} {value}'}"
            for name, value in device.items()
            if name != "name" and value
        )
        lines.append(f"- {backend}: {device['name']}" + (f" ({details})" if details else ""))
    versions = context["versions"].items()
    lines.append("- " + ", ".join(f"{name} {version}" for name, version in versions))
    return "\n".join(lines)


def size(number):
    return f"{number / GIB:.0f} GiB"


def summary(rows):
    passed, failed = (sum(row["passed"] is mark for row in rows) for mark in (True, False))
    return (
        f"{passed} passed, {failed} failed, {len(rows) - passed - failed} are told without "
        "judgement. Numbers are how far a device's are from those of a CPU in float32, where "
        "float32 is not rounded to TensorFloat-32: losses by the largest step, other numbers by "
        "their norm."
    )


def acceptance(rows):
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    keys = dict.fromkeys((row["check"], row["precision"]) for row in rows)
    by_key = {(row["check"], row["precision"], row["backend"]): row for row in rows}
    table = []
    for check, precision in sorted(keys, key=lambda key: (key[0], precision_rank(key[1]))):
        found = [by_key.get((check, precision, backend)) for backend in backends]
        tolerance = next((row["tolerance"] for row in found if row and row.get("tolerance")), "")
        cells = [cell(row) for row in found]
        table.append([check, PRECISIONS.get(precision, precision), tolerance, *cells])
    return markdown_table(["check", "precision", "tolerance", *backends], table)


def precision_rank(precision):
    return ["float32", "mixed_bfloat16", "mixed_float16"].index(precision)


def cell(row):
    if row is None:
        return ""
    told = row.get("value") or row.get("error", "")[:60]
    return f"{MARKS[row['passed']]}: {told} ({row.get('seconds', 0):.0f} s)"


def failures(rows):
    entries = []
    for row in rows:
        where = (
            f"{row['library']} on {row['backend']}" if row["part"] == "speed" else row["backend"]
        )
        entry = [f"### {where}: {row['check']}, {row['precision']}", ""]
        entry.append(f"{row.get('error') or row.get('value')}")
        if row.get("trace"):
            entry += ["", "```", *row["trace"], "```"]
        entries.append("\n".join(entry))
    return "\n\n".join(entries)


def warnings_of(rows):
    """Each message once, with the check that first gave it and how many did."""
    checks = {}
    for row in rows:
        for message in row.get("heard", []):
            who = row["backend"] if row["library"] == "zoo" else row["library"]
            checks.setdefault((who, message), []).append(f"{row['check']}, {row['precision']}")
    return "\n".join(
        f"- {who}: {message} ({first}" + (f" and {len(more)} more)" if more else ")")
        for (who, message), (first, *more) in checks.items()
    )


def speed(rows):
    table = []
    for row in sorted(rows, key=lambda row: row["check"]):
        measured = "tokens" in row
        table.append(
            [
                row["check"],
                f"zoo, {row['backend']}" if row["library"] == "zoo" else row["library"],
                row["value"] if "value" in row else f"**failed**: {row.get('error', '')[:60]}",
                f"{row['mfu']:.1%}" if row.get("mfu") else "",
                f"{row['flops'] / 1e12:.1f}" if row.get("flops") else "",
                size_in_tenths(row.get("memory")),
                f"{row['spread']:.0%}" if measured else "",
                f"{row['first']:.0f} s" if measured else "",
                row.get("work", ""),
            ]
        )
    columns = ["what", "library", "speed", "MFU", "TFLOP/s", "memory", "spread", "first", "work"]
    return markdown_table(columns, table)


def size_in_tenths(number):
    return f"{number / GIB:.1f} GiB" if number else ""


def markdown_table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    escaped = (
        [str(text).replace("|", "\\|").replace("\n", " ") for text in line] for line in lines
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
