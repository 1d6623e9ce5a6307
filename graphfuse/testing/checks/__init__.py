"""The checks: each is a claim that holds for every fusion. Adding one: a function here, a line in ``CHECKS``.

A check takes a ``Subject`` and gives what it found, or raises a ``Fault`` that says so; the first line of its docstring
is the claim, and ``docs/adding_a_part.md`` lists them.
"""

from collections.abc import Callable

from graphfuse.testing.checks import isolation, lacking, numbers, relations, weights
from graphfuse.testing.subject import Subject

CHECKS: dict[str, Callable[[Subject], str]] = {check.__name__: check for check in (
    isolation.alone_and_in_company,
    isolation.any_order,
    isolation.beside_a_very_large_sample,
    isolation.gradients_stay_within_a_sample,
    isolation.an_earlier_batch_changes_nothing,
    isolation.equal_samples_agree,
    isolation.different_samples_differ,
    lacking.values_of_a_lacking_kind_never_matter,
    lacking.every_kind_matters,
    lacking.zero_rows_are_as_absent,
    lacking.lacking_kinds_stay_finite,
    lacking.training_and_prediction_agree,
    lacking.a_single_node,
    relations.permuted_nodes_permute_their_rows,
    relations.the_order_of_links_never_matters,
    relations.dense_and_listed_agree,
    relations.weighted_links_stay_finite,
    relations.hubs_belong_to_one_sample,
    relations.without_relations,
    relations.a_relation_without_any_edge,
    relations.a_schema_of_one_kind,
    relations.one_layer,
    relations.no_layers_are_refused_or_work,
    numbers.shapes_are_those_of_the_contract,
    numbers.nodes_and_relations_are_kept,
    numbers.the_graph_that_came_in_is_unchanged,
    numbers.gradients_are_right,
    numbers.float64_agrees_with_float32,
    numbers.bfloat16_stays_finite,
    numbers.large_values_stay_finite,
    numbers.zeros_stay_finite,
    numbers.evaluation_is_deterministic,
    numbers.with_and_without_gradients_agree,
    numbers.another_device_and_back,
    weights.weights_are_a_function_of_the_seed,
    weights.making_it_sets_no_seed,
    weights.prediction_draws_no_random_number,
    weights.buffers_do_not_depend_on_batches,
    weights.every_weight_can_learn,
    weights.a_state_dict_loads_strictly,
    weights.saved_and_opened_is_bit_equal,
    weights.a_deep_copy_is_equal_and_apart,
)}  # fmt: skip
