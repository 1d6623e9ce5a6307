"""Cases of the atlas: what a sample holds, what retrieval finds, what may not leak."""

import pytest
import torch

pytest.importorskip("countryinfo", reason="needs the extra demo")
pytest.importorskip("resvg_py", reason="needs the extra demo")

from graphfuse.core.errors import InputError
from graphfuse.demo.atlas import FAINT, PICTURES, TYPES, cases_of, read
from graphfuse.demo.build import SPLITS, build
from graphfuse.demo.gallery import Gallery, _learn, spread
from graphfuse.demo.methods import majority, unanswered, view_of
from graphfuse.demo.questions import Question


@pytest.fixture(scope="module")
def atlas():
    return build(0, "tiny")


def test_a_sample_holds_what_the_question_came_with_and_nothing_else(atlas):
    for split in SPLITS:
        for case in atlas.cases[split]:
            question, sample = case.question, case.sample
            assert ("flag" in sample.nodes) == (question.flag_seed is not None)
            assert ("outline" in sample.nodes) == (question.outline_seed is not None)
            assert ("text", "mentions", "entity") in sample.links or not question.mentioned
            assert [case.sub.entities[row] for row in sample.target] == [
                a for a in question.answers if a in case.sub.entities
            ]


def test_what_the_words_name_is_linked(atlas):
    for case in atlas.cases["test"]:
        linked = sample_entities(case, ("text", "mentions", "entity"))
        assert linked == set(case.question.mentioned)


def test_weights_of_pictures_are_log_probabilities_of_the_candidates(atlas):
    for case in atlas.cases["test"]:
        for kind in PICTURES:
            if kind in case.sample.nodes:
                relation = (kind, "resembles", "entity")
                assert sample_entities(case, relation) == {name for name, _ in case.candidates}
                weights = case.sample.weights[relation]
                assert weights.min() >= FAINT
                faint = len(weights) * torch.tensor(FAINT).exp()
                assert weights.exp().sum() <= 1 + faint + 1e-5


def test_country_nodes_carry_no_name(atlas):
    for case in atlas.cases["test"][:10]:
        entity = case.sample.nodes["entity"]
        country = entity[:, TYPES.index("country")] == 1
        assert entity[country, len(TYPES) : -1 - len(PICTURES)].abs().max() == 0
        assert entity[~country, len(TYPES) : -1 - len(PICTURES)].abs().sum(1).min() > 0


def test_hiding_a_modality_leaves_no_trace_of_it(atlas):
    reading = next(r for r in atlas.readings["test"] if set(r.seen) == {"flag"} and r.question.form == "flag")
    assert cases_of([reading.without("text")], atlas.facts, atlas.kg, atlas.readers)[0].sample.nodes.keys() == {
        "flag",
        "entity",
    }
    named = next(r for r in atlas.readings["test"] if r.question.form == "named")
    assert cases_of([named.without("text")], atlas.facts, atlas.kg, atlas.readers) == []


def test_a_question_that_names_nothing_known_and_shows_nothing_is_refused(atlas):
    text = "What is the capital of Atlantis?"
    question = Question("asked", text, "asked", 1, "asked", "", (), (), None, None, "en", "asked", False)
    readings = read([question], {kind: [None] for kind in PICTURES}, atlas.readers)
    with pytest.raises(InputError, match="Atlantis"):
        cases_of(readings, atlas.facts, atlas.kg, atlas.readers)


def test_a_metric_learns_nothing_from_the_countries_that_it_is_not_taught():
    rng = torch.Generator().manual_seed(0)
    features = torch.rand(12, 4, 20, generator=rng)
    taught = torch.arange(12) < 9
    changed = features.clone()
    changed[10] = torch.rand(4, 20, generator=rng)
    before, after = (_learn(each, taught) for each in (features, changed))
    assert torch.equal(before.directions, after.directions)
    changed[3] = torch.rand(4, 20, generator=rng)
    assert not torch.allclose(before.directions, _learn(changed, taught).directions)


def test_a_training_country_is_scored_by_the_metric_that_left_it_out():
    rng = torch.Generator().manual_seed(0)
    codes = [f"c{place}" for place in range(12)]
    gallery = Gallery.of(codes, torch.rand(12, 4, 2, 6, generator=rng), codes[:9])
    picture = torch.rand(1, 2, 6, generator=rng)
    for code in codes:
        metric = gallery.metrics[gallery.fold.get(code, -1)]
        torch.testing.assert_close(gallery.log_p(picture, [code])[0], metric.log_p(spread(picture))[0])
    assert set(gallery.fold) == set(codes[:9])
    assert set(gallery.fold.values()) == {0, 1, 2}


def test_test_and_validation_countries_have_no_fold(atlas):
    asked = {
        case.question.country for split in ("valid", "test") for case in atlas.cases[split] if not case.question.seen
    }
    for gallery in atlas.readers.galleries.values():
        assert not asked & set(gallery.fold)


def test_majority_counts_like_a_plain_loop(atlas):
    said = {}
    for case in atlas.cases["train"]:
        for answer in case.question.answers:
            said.setdefault(case.question.type, []).append(answer)
    scores = majority(atlas)
    for case in atlas.cases["test"]:
        counts = {name: said[case.question.type].count(name) for name in said[case.question.type]}
        best = sorted(counts, key=lambda name: (-counts[name], name))[0]
        assert scores[case.question.name] == float(best in case.question.answers)


def test_one_modality_methods_see_one_modality_and_answer_for_every_question(atlas):
    for method, kinds in (("text", {"text"}), ("image", set(PICTURES))):
        view = view_of(method, atlas)
        assert all(set(sample.nodes) <= kinds for split in SPLITS for sample in view.samples[split])
        names = {sample.name for sample in view.samples["test"]} | set(unanswered(atlas, method))
        assert names == {case.question.name for case in atlas.cases["test"]}


def test_without_messages_has_the_same_nodes_and_no_links(atlas):
    plain = view_of("relation_gate", atlas).samples["test"]
    for ours, bare in zip(plain, view_of("no_messages", atlas).samples["test"]):
        assert bare.links == {}
        assert all(torch.equal(ours.nodes[kind], bare.nodes[kind]) for kind in ours.nodes)


def sample_entities(case, relation):
    return {case.sub.entities[row] for row in case.sample.links.get(relation, torch.zeros(2, 0, dtype=torch.long))[1]}


def test_the_atlas_is_built_in_chinese_too():
    chinese = build(0, "tiny", "zh")
    assert all(
        "一" <= case.question.text[0] <= "鿿" or not case.question.text[0].isascii() for case in chinese.cases["test"]
    )
    found = [bool(len(case.sample.target)) for case in chinese.cases["test"]]
    assert sum(found) > 0.6 * len(found)
    for case in chinese.cases["test"]:
        assert sample_entities(case, ("text", "mentions", "entity")) == set(case.question.mentioned)
