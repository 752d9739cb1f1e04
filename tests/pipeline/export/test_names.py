from pipeline.domain import Participant, ParticipantId
from pipeline.export.names import speaker_names
from tests.pipeline.record.samples import ANNE, BILAL, OTHER_ANNE, gap, segment, transcript


def person(identity, name):
    return Participant(ParticipantId(identity), name)


def names(*people, longest=None):
    spoken = [segment(f"u{k}", "oui", k, k + 1, each) for k, each in enumerate(people)]
    return list(speaker_names(transcript(*spoken), longest).values())


def test_two_participants_of_one_name_stay_distinguishable():
    assert names(ANNE, BILAL, OTHER_ANNE) == ["Anne", "Bilal", "Anne (2)"]


def test_a_number_never_makes_the_name_of_somebody_else():
    assert names(person("1", "Anne"), person("2", "Anne (2)"), person("3", "Anne")) == ["Anne", "Anne (2)", "Anne (3)"]


def test_a_participant_who_speaks_twice_or_is_renamed_has_one_name():
    assert names(ANNE, ANNE, person("anne", "Anna")) == ["Anne"]


def test_who_has_no_name_goes_by_the_id_and_without_any_by_a_question_mark():
    assert names(person("p7", " \x00"), person(" ", "")) == ["p7", "?"]


def test_a_name_is_one_line():
    assert names(person("1", "Anne\nMarie\u202e")) == ["Anne Marie"]


def test_a_long_name_is_cut_before_it_is_told_apart():
    assert names(person("1", "Anne Marie"), person("2", "Anne Martin"), longest=6) == ["Anne…", "Anne… (2)"]
    assert names(person("1", "Bilal"), longest=5) == ["Bilal"]


def test_who_only_has_a_gap_has_a_name_too():
    assert speaker_names(transcript(gaps=(gap(0, 1, BILAL),))) == {BILAL.id: "Bilal"}
