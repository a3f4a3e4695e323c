"""`plan`: from what is wished, recorded and seen to what is to be done. Pure, and called again until nothing is asked.

An identity may be known only after a scan was answered, and the next one only after the first was found in the store:
so a round ends either with a `Plan` or with everything that it can already say it wants to know. A no-change plan takes
identities and outputs from the record and needs two rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from specforge.core.address import Address
from specforge.core.diagnostics import Diagnostic, has_errors
from specforge.core.errors import PlanError
from specforge.core.queries import LookAtJob, Presence, Query, Seen
from specforge.core.state import Intent, State
from specforge.core.steps import RunJob
from specforge.core.values import EMPTY, Frozen, Place
from specforge.planner.artifacts import settle_artifact
from specforge.planner.definitions import settle_definition, settle_place
from specforge.planner.graph import Graph
from specforge.planner.outputs import fill_recorded, identity_if_known
from specforge.planner.plan import Options, Plan, PlannedPart, RunInFlight, Unreachable, Verb, Wanted
from specforge.planner.planning import UNSETTLED, Node, Planning, Settled, undecided
from specforge.planner.project import Declared, Project
from specforge.planner.removal import removals
from specforge.planner.services import settle_service
from specforge.schemas.kind import Lifecycle, Part, Subject

_SETTLERS = {
    Lifecycle.DEFINITION: settle_definition,
    Lifecycle.PLACE: settle_place,
    Lifecycle.ARTIFACT: settle_artifact,
    Lifecycle.SERVICE: settle_service,
}


def plan(
    project: Project,
    graph: Graph,
    state: State,
    observed: Mapping[Query, Seen],
    options: Options,
    now: float,
) -> Plan | Wanted:
    """Return the plan, or the queries whose answers are wanted first; raises PlanError for wishes that cannot be."""
    planning = Planning(project, graph, state, observed, options, now)
    scope = _scope(planning)
    if options.destroy:
        taken_away = removals(planning, [each for each in state.resources if each in scope or not options.targets])
    else:
        for address in (each for each in graph.order if each in scope) if options.targets else graph.order:
            planning.settled[address] = _settle(planning, address)
        planning.refuse_lost_pins()
        gone = [each for each in state.resources if each not in project.resources]
        taken_away = removals(planning, [each for each in gone if each in options.targets or not options.targets])
    runs = _runs_in_flight(planning, {each.address for each in taken_away})
    if planning.wanted:
        return Wanted(tuple(planning.wanted))
    if has_errors(planning.diagnostics):
        raise PlanError(planning.diagnostics)
    changes = tuple(settled.change for settled in planning.settled.values() if settled.change is not None)
    return Plan(
        state.ref,
        project.name,
        project.environment,
        now,
        changes + taken_away,
        tuple(planning.drift),
        runs,
        tuple(Unreachable(place, why, tuple(whom)) for place, (why, whom) in planning.unreachable.items()),
        tuple(dict.fromkeys(planning.diagnostics)),
        options.destroy,
        options.delete_artifacts,
    )


def _scope(planning: Planning) -> frozenset[Address]:
    options, project, state = planning.options, planning.project, planning.state
    for address in (*options.targets, *options.replace):
        if address not in project.resources and address not in state.resources:
            raise PlanError(_unknown_address(address, (*project.resources, *state.resources)))
    for address in options.replace:
        declared = project.resources.get(address)
        if declared is None or declared.kind.lifecycle is not Lifecycle.ARTIFACT:
            detail = f"{address} has no published output to make again"
            raise PlanError(Diagnostic("SF205", "Nothing to replace", detail, hint="name a dataset, a training, …"))
    if not options.targets:
        return frozenset(project.resources)
    if options.destroy:
        return frozenset(options.targets)
    return planning.graph.needs(options.targets)


def _unknown_address(address: Address, known: tuple[Address, ...]) -> Diagnostic:
    from difflib import get_close_matches

    near = get_close_matches(str(address), [str(each) for each in known], n=1)
    hint = f"did you mean `{near[0]}`?" if near else "`spec state list` and `spec graph` show the addresses there are"
    return Diagnostic("SF204", "Unknown address", f"nothing declared or recorded is named `{address}`", hint=hint)


def _settle(planning: Planning, address: Address) -> Settled:
    declared, recorded = planning.project.resources[address], planning.state.resources.get(address)
    kind = declared.kind
    # A record with no more than an intent: for the plan there is nothing yet.
    record = recorded if recorded is not None and recorded.made else None
    observations = {} if recorded is None else kind.observations(recorded)
    looks = planning.answers(observations)
    inputs, blocked, complete = planning.inputs_of(address)
    if blocked is not None:
        return undecided(declared, record, f"waits: {blocked}", blocked)
    current, facts = None if record is None else record.current_version, dict[str, Seen]()
    place = None if record is None else record.place
    project = planning.project
    subject = Subject(address, declared.spec, project.name, inputs, facts, project.locks, current, place)
    readings = kind.readings(subject)
    facts.update(planning.answers(readings))  # the subject is made once: ten thousand are
    if len(facts) < len(readings) or len(looks) < len(observations) or not complete:
        return _unsettled(planning, declared, subject)
    for name, seen in facts.items():
        if seen.presence is Presence.UNREACHABLE:
            planning.cannot_reach(readings[name].place, seen, address)
            return undecided(declared, record, f"{name} cannot be read; nothing is decided")
    desire = kind.desire(subject)
    if desire.diagnostics:
        planning.diagnostics.extend(desire.diagnostics)
        if has_errors(desire.diagnostics):
            return undecided(declared, record, "it has errors")
    settled = _SETTLERS[kind.lifecycle](planning, Node(declared, record, current, desire, subject, looks))
    if kind.lifecycle is Lifecycle.ARTIFACT and desire.outputs and settled.change is not None and settled.outputs:
        settled.outputs = Frozen({**desire.outputs, **settled.outputs})  # known of a version that is yet to come, too
    return settled


def _unsettled(planning: Planning, declared: Declared, subject: Subject) -> Settled:
    """An answer is missing. A place is known from its spec alone, so that what lies in it is asked about at once."""
    if declared.kind.lifecycle is not Lifecycle.PLACE:
        return UNSETTLED
    node = Node(declared, None, None, declared.kind.desire(subject), subject, EMPTY)
    settle_place(planning, node)
    return Settled(None, node.desire.outputs)


# ---- runs that an interrupted apply left ----


def _runs_in_flight(planning: Planning, taken_away: AbstractSet[Address]) -> tuple[RunInFlight, ...]:
    """Return the runs of what this plan is about; those of others are left alone."""
    runs = []
    intents = {each.address: each.intent for each in planning.state.resources.values() if each.intent is not None}
    for address, intent in sorted(intents.items(), key=lambda item: item[0]):
        if address not in planning.settled and address not in taken_away:
            continue
        seen = [planning.ask(LookAtJob(place, key)) for place, key in intent.jobs]
        answers = [each for each in seen if each is not None]
        if any(each.presence is Presence.UNREACHABLE for each in answers):
            state = "unknown"
        elif any(each.facts.get("state") == "running" for each in answers):
            state = "running"
        elif any(each.presence is Presence.PRESENT for each in answers):
            state = "ended"
        else:
            continue  # nothing had been started
        wanted = _still_wanted(planning, address, intent)
        runs.append(RunInFlight(address, intent.part_name, intent.identity, state, wanted, intent.started, intent.work))
    return tuple(runs)


def _still_wanted(planning: Planning, address: Address, intent: Intent) -> bool:
    """Whether the change of this address would go on with just this run."""
    change = planning.settled.get(address, UNSETTLED).change
    if change is None:
        return False
    if not change.parts:
        return True  # nothing is decided about it, so nothing is ended either
    return any(_makes(planning, each, intent) for each in change.parts if each.part.name == intent.part_name)


def _makes(planning: Planning, planned: PlannedPart, intent: Intent) -> bool:
    if not runs_at(planned.part, intent):
        return False
    if planned.identity is not None:
        return planned.verb is Verb.MAKE and planned.identity == intent.identity
    # What it was about may not be what is recorded now; what was never recorded has no identity yet.
    return identity_if_known(planned.part, fill_recorded(planned.part.recipe, planning.state)) == intent.identity


def runs_at(part: Part, intent: Intent) -> bool:
    """Whether the jobs of the part run where those of the intent were started: the place is in no identity."""
    places = [step.place for step in part.steps if isinstance(step, RunJob)]
    begun = [place for place, _ in intent.jobs]
    return not begun or (len(places) == len(begun) and all(map(Place.is_at, places, begun)))
