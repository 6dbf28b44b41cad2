"""What each argument of what users call must not be; `test_wrong_inputs.py` tries all of it.

A row is `{argument: kind}`; a kind is what is wrong for it and, of the names that an error may call
it by, those that are not the argument's own.
"""

import math

NAN, HUGE = math.nan, 10**30
NO_TEXT = (5, 1.5, [5], [["a"]], {"a": 1}, object())
NO_WHOLE = (-1, 1.5, "a", NAN, [1], True)

KINDS = {
    # texts and what stands beside them
    "text": ((None, *NO_TEXT), "[Tt]ext|prompt|source|token"),
    "prompts": (
        (None, 5, 1.5, [1.5], [["a"]], {"a": 1}, object(), [None, 5]),
        "prompt|source|[Tt]oken ids",
    ),
    "data": ((None, [], {}, 5, object(), [object()]), "[Tt]ext|[Tt]oken|sequences|questions"),
    "validation": (([], 5, object(), [object()]), "[Tt]ext|[Tt]oken|sequences|questions"),
    "sentences": ((None, 5, "abc", [[]], [5], [[5]]), "sentence|word"),
    "questions": ((None, 5, [5], [{}], {"a": 1}, b"{}"), "[Qq]uestion|SQuAD|'data'"),
    "question": ((None, 5, "", " ", ["a"]), "question|context"),
    "labels": (("neg", 5, [], ["neg"], ["neg", "sad"], [0, 7], [0.5, 1], [None, None]), "[Ll]abel"),
    "weights": (("a", 5, [], [1.0], [1.0, NAN], [1.0, -1.0], [1.0, math.inf]), "sample_weight"),
    "weights of classes": ((5, "even", {"sad": 1.0}, {"neg": NAN}, {"neg": -1}, [1, 2]), "abel"),
    "tags": (
        ("neg", 5, [], ["neg"], [["neg"], ["neg"]], [["sad", "neg"], ["neg"]]),
        "tag|[Ll]abel",
    ),
    "scores": (("neg", 5, [], [1.0], [5, 1], [NAN, 1], [None, 1]), "score"),
    "refused": (("neg", [0, 1]), "leave it out|has none|without y|leave y out|scores"),
    # numbers
    "whole": ((0, *NO_WHOLE, None), ""),
    "frequency": ((0, -1, 1.5, "a", NAN, [0], None), ""),
    "whole or none": ((0, *NO_WHOLE), ""),
    "whole from 0": ((*NO_WHOLE, None), ""),
    "seed of batches": (NO_WHOLE, "seed"),
    "length": ((0, *NO_WHOLE, HUGE), "context|length"),
    "share": ((-0.1, 1.5, NAN, "a", [0.5]), ""),
    "positive": ((0, -1, NAN, math.inf, "a", [1.0], True), "number"),
    "number": ((NAN, "a", [1.0], None), ""),
    "seed": ((1.5, "x", 2**70, NAN, [1.5], {}), "seed"),
    "top_k": ((0, *NO_WHOLE, HUGE, None), "top_k"),
    # choices
    "flag": (("yes", 2, None, [], NAN), ""),
    "flag or none": (("yes", 2, [], NAN), ""),
    "verbose": (("yes", 5, NAN, []), ""),
    "shuffle": (("yes", 2, [], NAN), ""),
    "callbacks": (("a", [5], 5), "[Cc]allback"),
    "sampler": (("nucleus", 5, [], {"no": 1}, object()), "sampler"),
    "draft": ((5, "no such", object(), [], True), "draft"),
    "stop": ((5, "", [""], [5], {"a": 1}), "stop"),
    "freeze": (("head", -1, 99, 1.5, True, [1]), "freeze"),
    "name of a choice": (("no such", 5, [], {}), ""),
    # things
    "path": ((None, 5, "", "a\0b", b"x", ["a"]), "[Pp]ath|folder|preset|file|[Nn]ame"),
    "file": ((None, 5, "", "a\0b", "no-such-file.json", ["a"]), "[Pp]ath|file|tokenizer"),
    "model": ((None, 5, "gpt-small", object()), "task|model"),
    "backbone": ((None, 5, "gpt", object()), "backbone"),
    "tokenizer": ((5, "gpt-small", object(), []), "[Tt]okenizer"),
    "special tokens": ((5, "[CLS]", {"no": 1}, {"start": -1}, {"start": 10**6}), "special|token"),
    "ids": ((None, "a", 5, [1.5], [-1], [10**6], ["a"]), "[Tt]oken ids|ids"),
    "corpus": ((None, 5, "abc", [], [5], [None], [""]), "[Tt]ext|[Dd]ocument"),
    "messages": ((None, 5, [], [5], [{}], [{"role": "user"}], {"a": 1}), "message"),
    "template": ((5, [], {}, b"x"), ""),
    "usual request": ((5, "a", [1], {"top_k": 3}, {"max_new_tokens": 0}), "max_new_tokens"),
    "dict or none": ((5, "a", [1]), ""),
    "anything": ((), ""),
}

FIT = {
    "x": "data",
    "batch_size": "whole or none",
    "epochs": "whole from 0",
    "verbose": "verbose",
    "callbacks": "callbacks",
    "validation_split": "share",
    "validation_data": "validation",
    "shuffle": "shuffle",
    "sample_weight": "weights",
    "initial_epoch": "whole from 0",
    "steps_per_epoch": "whole or none",
    "validation_steps": "whole or none",
    "validation_batch_size": "whole or none",
    "validation_freq": "frequency",
}
EVALUATE = {
    "x": "data",
    "batch_size": "whole or none",
    "verbose": "verbose",
    "sample_weight": "weights",
    "steps": "whole or none",
    "callbacks": "callbacks",
    "return_dict": "flag",
    "_use_cached_eval_dataset": "anything",
}
PREDICT = {
    "x": "data",
    "batch_size": "whole or none",
    "verbose": "verbose",
    "steps": "whole or none",
    "callbacks": "callbacks",
}
ON_BATCH = {"x": "data", "sample_weight": "weights", "return_dict": "flag"}
BATCHES = {
    "x": "data",
    "batch_size": "whole or none",
    "seed": "seed of batches",
    "is_fixed": "flag",
    "sample_weight": "weights",
    "shuffle": "flag",
}
BESIDE = {  # what `y` is to each task; those that are left out refuse it
    "TextClassifier": "labels",
    "TokenClassifier": "tags",
    "TextEmbedder": "scores",
    "Seq2SeqLM": "anything",
}

VERBS = {  # of every task
    "fit": FIT,
    "evaluate": EVALUATE,
    "predict": PREDICT,
    "train_on_batch": ON_BATCH,
    "test_on_batch": ON_BATCH,
    "predict_on_batch": {"x": "data"},
    "batches": BATCHES,
    "encode": {"texts": "text"},
}
WRITES = {
    "max_new_tokens": "length",
    "sampler": "sampler",
    "seed": "seed",
    "stop": "stop",
    "truncate": "flag",
}
WRITES_MANY = {
    **WRITES,
    "num_return": "whole",
    "batch_size": "whole",
    "verbose": "verbose",
    "return_scores": "flag",
}

TASKS = {  # what each has besides
    "CausalLM": {
        "generate": {"prompts": "prompts", **WRITES_MANY, "strip_prompt": "flag", "draft": "draft"},
        "stream": {"prompt": "prompts", **WRITES, "draft": "draft"},
        "score": {"texts": "text", "stride": "length"},
        "compile": {"sampler": "sampler", "request": "usual request"},
        "chat": {"messages": "messages", **WRITES, "template_arguments": "dict or none"},
        "stream_chat": {"messages": "messages", **WRITES, "template_arguments": "dict or none"},
        "encode_chat": {"messages": "messages", "add_generation_prompt": "flag"},
    },
    "Seq2SeqLM": {
        "generate": {"sources": "prompts", **WRITES_MANY},
        "score": {"sources": "text", "targets": "text"},
        "compile": {"sampler": "sampler", "request": "usual request"},
    },
    "MaskedLM": {"fill": {"texts": "text", "top_k": "top_k"}},
    "BertPretrainer": {},
    "TextClassifier": {
        "freeze": {"what": "freeze"},
        "predict_labels": {"texts": "data", "batch_size": "whole or none"},
    },
    "TokenClassifier": {
        "freeze": {"what": "freeze"},
        "predict_tags": {"sentences": "sentences", "batch_size": "whole or none"},
        "tag": {"text": "text"},
    },
    "QuestionAnswerer": {
        "freeze": {"what": "freeze"},
        "answer": {"question": "question", "context": "question", "top_k": "whole"},
        "predict_answers": {"questions": "questions", "batch_size": "whole or none"},
    },
    "TextEmbedder": {
        "freeze": {"what": "freeze"},
        "encode": {"texts": "data", "batch_size": "whole or none"},
        "similarity": {"texts": "data", "others": "data", "batch_size": "whole or none"},
    },
}
PARTS = {"backbone": "backbone", "tokenizer": "tokenizer", "special_tokens": "special tokens"}
SIZES = {"sequence_length": "length", "mask_rate": "share", "whole_words": "flag"}
CONSTRUCTORS = {
    "CausalLM": {
        **PARTS,
        "sequence_length": "length",
        "stateful": "flag",
        "chat_template": "template",
    },
    "MaskedLM": PARTS | SIZES,
    "BertPretrainer": PARTS | SIZES,
    "TextClassifier": {
        **PARTS,
        "labels": "names",
        "pooling": "name of a choice",
        "head_dropout": "share",
        "head_bias": "flag or none",
        "add_special_tokens": "flag",
        "problem": "name of a choice",
    },
    "TokenClassifier": {**PARTS, "labels": "names", "head_dropout": "share"},
    "QuestionAnswerer": {
        **PARTS,
        "window_stride": "length",
        "max_answer_length": "length",
        "no_answer_threshold": "number",
    },
    "TextEmbedder": {**PARTS, "scale": "number"},
    "Seq2SeqLM": {
        **PARTS,
        "source_length": "length",
        "target_length": "length",
        "label_smoothing": "share",
        "source_start": "flag",
    },
}
KINDS["names"] = ((None, 5, [], ["a"], ["a", "a"], ["a", ""], ["a", 1.5], {}), "label")

INNER = (  # what tasks are made of: called by Keras, by other rooms or by subclasses
    *("begun", "check_trainable", "fitted", "quantizable_layers", "quantize"),
    *("quantize_empty", "save", "start_scoring"),
    *("arrays", "as_rows", "build_loss", "call", "check_batch", "check_inputs", "check_readable"),
    *("check_vocabulary", "clone", "compile", "compile_from_config", "compute_loss"),
    *("compute_output_spec", "examples", "export", "feed", "feed_of", "from_config", "gathered"),
    *("get_compile_config", "get_config", "hidden_states", "is_example", "kinds", "label_array"),
    *("make_batches", "make_train_function", "num_averaged", "objective", "outputs_and_loss"),
    *("outputs_of", "outputs_of_step", "own_callbacks", "predict_rows", "prepare", "read_examples"),
    *("read_memory", "renew_optimizer", "require_classes", "require_fine_weights"),
    *("require_mask_token", "require_tokenizer", "rows", "speed_up", "split_feed"),
    *(
        "start_carrying",
        "start_of_text",
        "start_scoring",
        "start_writing",
        "stream_batches",
        "stream_row",
    ),
    *("sublayers", "symbolic_inputs", "test_step", "train_step", "usual_loss", "usual_metrics"),
    *("usual_optimizer", "validation_parts", "write"),
)
