import json

import pytest
from small_table import SPEC

from graphfuse.core.errors import InputError
from graphfuse.encoders import ENCODERS
from graphfuse.fusion import FUSIONS
from graphfuse.heads import HEADS
from graphfuse.tables.spec import METRICS, Spec

SHORT = 'table = "table.csv"\n[target]\ncolumn = "label"\n[nodes.note]\nencoder = "text"\ncolumn = "note"\n'


@pytest.fixture
def opened(tmp_path):
    def opened(text, *changes):
        (tmp_path / "spec.toml").write_text(text, "utf-8")
        return Spec.open(tmp_path / "spec.toml", changes)

    return opened


def test_a_spec_has_defaults_and_paths_start_from_its_folder(opened, tmp_path):
    spec = opened(SHORT)
    assert spec.table == tmp_path / "table.csv"
    assert (spec.target.task, spec.target.metric, spec.rows.shares, spec.fusion.name) == ("classify", None, None, "hgt")
    assert [(n.kind, n.encoder, n.columns, n.options) for n in spec.nodes] == [("note", "text", ("note",), {})]


def test_every_key_of_the_documented_form_is_read(opened):
    spec = opened(
        SHORT.replace('"label"', '"label"\ntask = "multilabel"\nseparator = "|"\nmetric = "auc"\n'
                      'unseen = "wrong"')
        + 'nodes = "one"\nmax_tokens = 64\ntrainable = false\n'
        '[nodes.table]\nencoder = "table"\nnumeric = ["size"]\ncategorical = ["site"]\n'
        '[rows]\nid = "id"\nshares = [0.6, 0.2, 0.2]\nseed = 3\ngroup = "patient"\n'
        '[fusion]\nname = "relation_gate"\ndim = 64\nlayers = 3\ndropout = 0\nquery = "note"\nground = ["x"]\n'
        "[training]\nepochs = 2\nbatch_size = 8\nlearning_rate = 1\nweight_decay = 0\npatience = 1\n"
        "modality_dropout = 0.5\n"
    )  # fmt: skip
    assert spec.target.separator == "|"
    assert spec.nodes[0].options == {"nodes": "one", "max_tokens": 64, "trainable": False}
    assert spec.nodes[1].columns == ("size", "site")
    assert spec.rows.shares == (0.6, 0.2, 0.2)
    assert spec.fusion.options == {"query": "note", "ground": ["x"]}
    assert (spec.training.learning_rate, type(spec.training.learning_rate)) == (1.0, float)


def test_it_is_the_same_after_it_was_saved_as_json(opened):
    spec = opened(SPEC)
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict())), spec.path) == spec


def test_changes_come_over_the_file(opened):
    spec = opened(SPEC, "training.epochs=5", "fusion.name=concat", "target.label_text=true", 'nodes."note".width=32',
                  "nodes.more.encoder=text", "nodes.more.column=note", "fusion.dropout=0.2")  # fmt: skip
    assert (spec.training.epochs, spec.fusion.name, spec.fusion.dropout) == (5, "concat", 0.2)
    assert spec.target.label_text is True
    assert spec.nodes[0].options["width"] == 32
    assert spec.nodes[-1].kind == "more"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epoch=5", r"spec.toml \(with training.epoch=5\): \[training\] has no key 'epoch'.*mean 'epochs'"),
        ("trainin.epochs=5", r"has no key 'trainin'\. Did you mean 'training'"),
        ("nodes.note.widht=5", r"\[nodes.note\] has no key 'widht'\. Did you mean 'width'"),
        ("training.epochs=many", r"\[training\] epochs is 'many'; a whole number is needed"),
        ('"=5', r"has no key '\"'"),
        ("training.epochs", r"--set training.epochs: SECTION.KEY=VALUE is needed"),
        ("table.x.y=1", r"--set table.x.y=1: 'x' stands in no section"),
        ("table.x=1", r"--set table.x=1: 'table' is no section"),
    ],
)
def test_a_wrong_change_is_named(opened, change, message):
    with pytest.raises(InputError, match=message):
        opened(SPEC, change)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[target]\n", "[target\n", r"spec.toml:3: not valid TOML \(.+\)\."),
        ("[target]\n", '[target]\nx = "a\n', r"spec.toml:4: not valid TOML"),
        ('grid = 0', 'grid = """', r"spec.toml:\d+: not valid TOML"),
        ("[target]", "[taget]", r"spec.toml: has no key 'taget'\. Did you mean 'target'"),
        ('table = "table.csv"', "", r"spec.toml: there is no table = \"table.csv\"; a spec needs it"),
        ('table = "table.csv"', "table = 5", r"spec.toml: table is 5; a text in quotes is needed"),
        ('column = "label"', 'colum = "label"', r"\[target\] has no key 'colum'\. Did you mean 'column'"),
        ('column = "label"', "unseen = 'wrong'", r"\[target\] lacks the key 'column'"),
        ('column = "label"', "column = 5", r"\[target\] column is 5; a text in quotes is needed"),
        ('column = "label"', 'column = "label"\ntask = "clasify"', r"task is 'clasify'\. Did you mean 'classify'"),
        ('column = "label"', 'column = "label"\nmetric = "acuracy"', r"no metric 'acuracy' of the task classify\. Did "
         "you mean 'accuracy'"),
        ('column = "label"', 'column = "label"\nmetric = "r2"', r"no metric 'r2' of the task classify\..*accuracy"),
        ('column = "label"', 'column = "label"\nunseen = "skip"', r"unseen is 'skip'\..*Known: error, wrong"),
        ('column = "label"', 'column = "label"\nlabel_text = 1', r"label_text is 1; true or false is needed"),
        ('column = "label"', 'column = "label"\nseparator = " "', r"separator is ' '; a mark such as ';'"),
        ('column = "label"', 'column = "label"\ntask = "regress"\nclass_weights = "balanced"', r"class_weights is "
         "'balanced', which the task regress does not have; leave it out"),
        ('column = "label"', 'column = "label"\ntask = "multilabel"\nlabel_text = true', r"label_text is True, which "
         "the task multilabel does not have"),
        ('id = "id"', 'id = "id"\nshares = [0.7, 0.15, 0.15]', r"\[rows\] has both split and shares"),
        ('split = "split"', "shares = [0.7, 0.3]", r"\[rows\] shares is \[0.7, 0.3\]; three numbers above 0"),
        ('split = "split"', "shares = [0.7, 0.4, -0.1]", r"three numbers above 0 that sum to 1"),
        ('split = "split"', 'shares = [0.7, "x", 0.1]', r"shares is .*; a list of numbers is needed"),
        ('split = "split"', "seed = -1", r"seed is -1; a number of at least 0 is needed"),
        ('encoder = "ngrams"', 'encoder = "ngram"', r"\[nodes.note\] There is no encoder called 'ngram'\. Did you mean "
         "'ngrams'"),
        ('encoder = "ngrams"', "", r"\[nodes.note\] There is no encoder called ''.*Known: vector, text"),
        ('column = "note"', "", r"\[nodes.note\] names no column; column is needed"),
        ('column = "note"', 'columns = "note"', r"\[nodes.note\] has no key 'columns'\. Did you mean 'column'"),
        ("width = 64", 'width = "64"', r"\[nodes.note\] width is '64'; a whole number is needed"),
        ('numeric = ["size"]', 'numeric = "size"', r"\[nodes.table\] numeric is 'size'; a list of texts is needed"),
        ('numeric = ["size"]', 'numeric = ["site"]', r"\[nodes.table\] names the column 'site' more than once"),
        ('numeric = ["size"]', 'numeric = ["label"]', r"\[nodes.table\] reads the column 'label', which is the target"),
        ('column = "note"', 'column = "split"', r"\[nodes.note\] reads the column 'split', which is the split"),
        ("[nodes.note]", '[nodes."a.b"]\nencoder="text"\ncolumn="note"\ntrainable=true\n[nodes.note]', r"cannot be "
         "called 'a.b'"),
        ("[nodes.note]", "[fusion]\nname = 'hgtt'\n[nodes.note]", r"\[fusion\] There is no fusion called 'hgtt'\. Did "
         "you mean 'hgt'"),
        ("[nodes.note]", "[fusion]\nhead = 2\n[nodes.note]", r"\[fusion\] has no key 'head'\. Did you mean 'heads'"),
        ("[nodes.note]", "[fusion]\nheads = 2.5\n[nodes.note]", r"\[fusion\] heads is 2.5; a whole number is needed"),
        ("[nodes.note]", "[fusion]\nheads = 0\n[nodes.note]", r"\[fusion\] heads is 0; a number of at least 1"),
        ("[nodes.note]", "[fusion]\nname = 3\n[nodes.note]", r"\[fusion\] name is 3; a text in quotes is needed"),
        ("[nodes.note]", f"[training]\nbatch_size = {2**40}\n[nodes.note]", r"batch_size is \d+; a number below"),
        ("[nodes.note]", "[fusion]\ndropout = 1\n[nodes.note]", r"\[fusion\] dropout is 1.0; a number below 1"),
        ("[nodes.note]", "[training]\nlearning_rate = 0\n[nodes.note]", r"learning_rate is 0.0; a number above 0"),
        ("[nodes.note]", "[training]\nlearning_rate = inf\n[nodes.note]", r"learning_rate is inf; a number is needed"),
        ("[nodes.note]", "[training]\nepochs = true\n[nodes.note]", r"epochs is True; a whole number is needed"),
        ("[nodes.note]", "[nodes]\nx = 5\n[nodes.note]", r"\[nodes.x\] is 5; a section with keys is needed"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_spec_is_named(opened, old, new, message):
    assert old in SPEC
    with pytest.raises(InputError, match=message):
        opened(SPEC.replace(old, new, 1))


def test_a_missing_spec_says_what_writes_one(tmp_path):
    with pytest.raises(InputError, match=r"none.toml: there is no such file; `graphfuse init TABLE` writes one"):
        Spec.open(tmp_path / "none.toml")


def test_every_encoder_and_fusion_can_be_named_and_every_metric_has_a_task(opened):
    for name in ENCODERS:
        column = 'numeric = ["a"]' if name == "table" else 'column = "a"'
        assert opened(f'table = "t.csv"\n[target]\ncolumn = "y"\n[nodes.a]\nencoder = "{name}"\n{column}\n').nodes
    for name in FUSIONS:
        assert opened(SHORT + f'[fusion]\nname = "{name}"\n').fusion.name == name
    assert opened(SHORT + '[fusion]\nname = "pyg"\nconv = "SAGEConv"\n').fusion.options == {"conv": "SAGEConv"}


def test_the_metrics_of_a_task_are_those_of_its_head(opened):
    for task, metrics in METRICS.items():
        assert (metrics[0], set(metrics)) == (HEADS[task].metric, set(HEADS[task].metrics))
    spec = opened(SHORT.replace('"label"', '"label"\nclass_weights = "balanced"\nlabel_text = true\nmetric = "auc"'))
    assert (spec.target.class_weights, spec.target.label_text, spec.target.metric) == ("balanced", True, "auc")


def test_options_of_a_fusion_do_not_hold_for_another(opened):
    spec = opened(SHORT + '[fusion]\nname = "hgt"\nheads = 2\ndim = 16\n')
    assert dict(spec.fusion.options) == {"heads": 2}
    for name, options in (("hgt", {"heads": 2}), ("concat", {})):
        other = Spec.open(spec.path, [], name).fusion
        assert (other.name, other.dim, dict(other.options)) == (name, 16, options)
    assert dict(Spec.open(spec.path, ["fusion.heads=4"], "attention").fusion.options) == {"heads": 4}


def test_a_number_of_hundreds_or_thousands_of_digits_is_named(opened):
    with pytest.raises(InputError, match=r"\[training\] learning_rate is 10{400}; a number is needed"):
        opened(SHORT + "[training]\nlearning_rate = 1" + "0" * 400)
    with pytest.raises(InputError, match=r"spec.toml: not valid TOML \(Exceeds the limit"):
        opened(SHORT + "[training]\nlearning_rate = 1" + "0" * 5000)
