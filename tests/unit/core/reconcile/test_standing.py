"""What a suspended one would apply is kept as the difference to its last run, and read as a whole."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.reconcile.standing import CHILDREN_DUE, Standing, standing
from penstock.core.records import KustomizationStatus
from penstock.core.tree import Inputs

names = st.lists(st.sampled_from("abcdefgh"), unique=True).map(sorted).map(tuple)
inputs = st.builds(Inputs, files=names, listings=names, absences=names)


@given(
    before=st.builds(Standing, generation=st.integers(0, 3), inputs=inputs, digest=names.map(str), rendered=names),
    after=st.builds(Standing, inputs=inputs, rendered=names, interpreted=names, children_due=st.booleans()),
    interpreted=names,
)
def test_what_was_written_down_at_rest_is_read_as_it_was(before, after, interpreted):
    status = KustomizationStatus(
        observed_generation=before.generation,
        inputs=before.inputs,
        inputs_digest=before.digest,
        rendered=before.rendered,
        summary={"interpreted": list(interpreted), CHILDREN_DUE: True},
    )
    assert standing(status) == replace(before, interpreted=interpreted, children_due=True)
    kept = replace(status, resting=after.beside(status))
    assert standing(KustomizationStatus.from_value(json.loads(json.dumps(kept.to_value())))) == after


def test_the_same_render_of_many_objects_takes_no_room():
    ids = tuple(f"apps_object-{number:05}__ConfigMap@v1" for number in range(10_000))
    status = KustomizationStatus(rendered=ids, inputs=Inputs(files=ids))
    made = Standing(rendered=(*ids, "z"), inputs=Inputs(files=ids))
    assert len(json.dumps(made.beside(status))) < 500
