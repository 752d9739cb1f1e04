"""Words that a second microphone heard from afar are withheld, as soon as it is clear and no word sooner."""

from pipeline.domain import TrackId, Word
from pipeline.live.crosstalk import CrossTalk, Settled

ANNE, BILAL, CHLOE = TrackId("anne"), TrackId("bilal"), TrackId("chloe")
LOUD, QUIET = -20.0, -35.0
GREETING = "bonjour à tous"


def said(text: str, start: float = 0.0, step: float = 0.3) -> tuple[Word, ...]:
    return tuple(
        Word(f" {each}", round(start + k * step, 3), round(start + (k + 1) * step, 3))
        for k, each in enumerate(text.split())
    )


def text(words: tuple[Word, ...]) -> str:
    return "".join(word.text for word in words).strip()


OWN = "voilà ce que je pense de tout cela moi aussi"


def room(own: float | None = LOUD, **levels: float) -> CrossTalk:
    """Everybody is as loud as that from 0 to 20 s, told in frames of 32 ms.

    Before that each spoke alone at their microphone, as loud as ``own``, or never where that is None.
    """
    talk = CrossTalk()
    for name in levels:
        talk.speaks(TrackId(name))
    for number, name in enumerate(levels if own is not None else ()):
        start = 10.0 * number - 50.0
        talk.audio_level(TrackId(name), start, start + 3.0, own or LOUD)
        talk.settle(TrackId(name), said(OWN, start), last=True)
    for name, level in levels.items():
        for number in range(625):
            talk.audio_level(TrackId(name), number * 0.032, (number + 1) * 0.032, level)
    return talk


def settled(talk: CrossTalk, track: TrackId, words: tuple[Word, ...], last: bool = False) -> tuple[str, str]:
    """The text of the words that are the track's own, and of those that are held."""
    found = talk.settle(track, words, last)
    return text(found.own), text(found.held)


# --- what is withheld -----------------------------------------------------------------------------------------


def test_what_a_louder_track_says_already_is_withheld() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(GREETING))
    assert talk.settle(BILAL, said("Bonjour, à tous !".replace(" !", "!"), 0.06)) == Settled((), (), 0.96)


def test_what_a_louder_track_shows_and_may_still_change_is_withheld_too() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    assert text(talk.visible(ANNE, said(GREETING))) == GREETING
    assert settled(talk, BILAL, said(GREETING, 0.06)) == ("", "")
    talk.visible(ANNE, ())
    assert settled(talk, CHLOE, said(GREETING, 0.06)) == (GREETING, "")


def test_the_louder_track_keeps_its_words_though_the_other_came_first() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    assert settled(talk, BILAL, said(GREETING)) == (GREETING, "")
    assert settled(talk, ANNE, said(GREETING, 0.05)) == (GREETING, "")


def test_words_are_held_until_it_is_clear_whether_they_are_a_copy() -> None:
    talk = room(anne=LOUD, bilal=QUIET, chloe=QUIET)
    talk.settle(ANNE, said(f"{GREETING} et bienvenue"))
    first, second, third, fourth = said("bonjour à tous et")
    assert settled(talk, BILAL, (first,)) == ("", "bonjour")
    assert settled(talk, BILAL, (first, second)) == ("", "bonjour à")
    assert settled(talk, BILAL, (first, second, third)) == ("", "")
    assert settled(talk, BILAL, (fourth,)) == ("", "")
    assert settled(talk, CHLOE, (first,)) == ("", "bonjour")
    assert settled(talk, CHLOE, (first, *said("Anne", 0.3))) == ("bonjour Anne", "")


def test_nothing_is_held_after_the_last_word_of_an_utterance() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said("d'accord on continue"))
    assert settled(talk, BILAL, said("d'accord"), last=True) == ("d'accord", "")


def test_a_copy_goes_on_after_words_that_were_shown_before_the_other_track_had_them() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    words = said("bonjour à tous et bienvenue")
    assert settled(talk, BILAL, words[:2]) == ("bonjour à", "")
    talk.settle(ANNE, words)
    assert settled(talk, BILAL, words[2:]) == ("", "")


def test_own_words_before_and_after_a_copy_are_shown() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(GREETING, 2.0))
    assert settled(talk, BILAL, said("alors voilà c'est parti", 0.8)) == ("alors voilà c'est parti", "")
    assert settled(talk, BILAL, said(f"{GREETING} merci Anne", 2.05)) == ("merci Anne", "")


def test_a_tail_is_shown_without_copies_and_without_what_may_become_one() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(f"{GREETING} merci"))
    assert text(talk.visible(BILAL, said(f"oui {GREETING}", -0.3))) == "oui"
    assert text(talk.visible(BILAL, said("bonjour à", 0.0))) == ""
    assert text(talk.visible(BILAL, said("bonjour Anne", 0.0))) == "bonjour Anne"


def test_words_that_two_people_say_as_loud_are_shown_of_both_without_waiting() -> None:
    talk = room(anne=LOUD, bilal=LOUD - 5.0)
    talk.settle(ANNE, said("oui d'accord merci beaucoup"))
    assert settled(talk, BILAL, said("oui", 0.1)) == ("oui", "")
    assert settled(talk, BILAL, said("d'accord merci beaucoup", 0.4)) == ("d'accord merci beaucoup", "")


def test_of_two_tracks_one_of_which_is_never_told_how_loud_neither_is_a_copy() -> None:
    for talk in (room(anne=LOUD), room(bilal=QUIET), CrossTalk()):
        talk.speaks(ANNE)
        talk.speaks(BILAL)
        talk.settle(ANNE, said("nous allons commencer la réunion maintenant"))
        assert talk.settle(BILAL, said("nous allons commencer la réunion maintenant", 0.1)).copied is None


def test_punctuation_of_its_own_goes_with_the_word_before_it() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(GREETING))
    assert settled(talk, BILAL, said(f"{GREETING} ! oui", 0.05)) == ("oui", "")
    assert settled(talk, BILAL, said("?", 3.0)) == ("?", "")
    assert settled(talk, BILAL, ()) == ("", "")


def test_two_people_at_headsets_of_their_own_are_both_shown_though_one_of_them_is_quieter() -> None:
    talk = room(own=-30.0, anne=LOUD, bilal=-30.0)
    for start in (0.0, 4.0, 8.0, 12.0):
        assert settled(talk, ANNE, said(SPEECH, start)) == (SPEECH, "")
        assert text(talk.visible(BILAL, said("nous allons", start + 0.1))) == "nous allons"
        assert settled(talk, BILAL, said(SPEECH, start + 0.1)) == (SPEECH, "")
    talk.settle(ANNE, said("l'ordre du jour", 16.0))
    assert settled(talk, BILAL, said("les vacances d'été", 16.0)) == ("les vacances d'été", "")


def test_before_anybody_knows_how_loud_somebody_is_a_short_greeting_is_shown_of_both() -> None:
    talk = room(own=None, anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(f"{GREETING} et merci"))
    assert settled(talk, BILAL, said(GREETING, 0.06)) == ("", GREETING)
    assert settled(talk, BILAL, said(GREETING, 0.06), last=True) == (GREETING, "")


def test_a_microphone_that_hears_nobody_but_another_from_afar_shows_nothing_of_what_it_hears() -> None:
    talk = room(own=None, anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said("mot à mot"))
    assert settled(talk, BILAL, said("mais si dettes venues à toutes ces fêtes", 0.0))[0], "misheard, and nothing known"
    talk.settle(ANNE, said(SPEECH, 4.0))
    assert settled(talk, BILAL, said(SPEECH, 4.05)) == ("", "")
    assert settled(talk, BILAL, said("et les disques ours", 8.0)) == ("", "")


def test_before_anybody_knows_how_loud_somebody_is_words_before_and_after_a_misheard_one_count_together() -> None:
    talk = room(own=None, anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said("bonjour à tous nous allons commencer"))
    assert settled(talk, BILAL, said("bonjour à tous mou", 0.05)) == ("bonjour à tous mou", "")
    assert settled(talk, BILAL, said("allons commencer la", 1.25))[0] == "allons commencer la", "two words are no copy"
    talk.settle(ANNE, said("l'ordre du jour est court", 2.1))
    assert settled(talk, BILAL, said("ordre du jour est long", 2.15)) == ("ordre long", "")


def test_while_one_track_has_spoken_nothing_is_compared() -> None:
    talk = CrossTalk()
    talk.speaks(ANNE)
    assert not talk.compares
    assert talk.settle(ANNE, said(SPEECH)) == Settled(said(SPEECH))
    assert talk.visible(ANNE, said(GREETING)) == said(GREETING)
    talk.speaks(BILAL)
    assert talk.compares
    talk.forget(ANNE)
    assert not talk.compares


def test_whoever_was_heard_from_afar_and_left_is_heard_no_more() -> None:
    talk = copying()
    talk.speaks(CHLOE)
    talk.forget(ANNE)
    assert settled(talk, BILAL, said("et les disques ours", 3.0)) == ("et les disques ours", "")


SPEECH = "nous allons commencer la réunion de ce matin par"


def copying() -> CrossTalk:
    """Bilal's microphone has heard nine words of Anne."""
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(SPEECH))
    assert settled(talk, BILAL, said(SPEECH, 0.05)) == ("", "")
    return talk


def test_once_copies_were_heard_what_is_as_quiet_is_withheld_whatever_its_words() -> None:
    talk = copying()
    assert settled(talk, BILAL, said("laure duj oure", 3.0)) == ("", "")
    assert text(talk.visible(BILAL, said("et les disques ours", 4.0))) == ""


def test_it_is_learnt_too_from_copies_that_were_shown_before_the_louder_track_had_them() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    assert settled(talk, BILAL, said(SPEECH, 0.05)) == (SPEECH, "")
    assert settled(talk, ANNE, said(SPEECH)) == (SPEECH, "")
    assert settled(talk, BILAL, said("laure duj oure", 3.0)) == ("", "")
    assert settled(talk, ANNE, said("l'ordre du jour", 3.0)) == ("l'ordre du jour", "")


def test_what_two_people_say_as_loud_teaches_nothing() -> None:
    talk = room(anne=LOUD, bilal=LOUD)
    for track in (ANNE, BILAL):
        assert settled(talk, track, said(SPEECH)) == (SPEECH, "")
        assert settled(talk, track, said("l'ordre du jour", 3.0)) == ("l'ordre du jour", "")


def test_what_is_said_at_the_microphone_that_hears_another_from_afar_is_shown() -> None:
    talk = copying()
    for number in range(100):
        talk.audio_level(BILAL, 20.0 + number * 0.05, 20.05 + number * 0.05, LOUD - 6.0)
        talk.audio_level(ANNE, 20.0 + number * 0.05, 20.05 + number * 0.05, LOUD)
    assert settled(talk, BILAL, said("pardon Anne", 21.0)) == ("pardon Anne", "")


def test_a_minute_later_the_words_count_again() -> None:
    talk = copying()
    for track, level in ((ANNE, LOUD), (BILAL, QUIET)):
        talk.audio_level(track, 80.0, 90.0, level)
    assert settled(talk, BILAL, said("et les disques ours", 81.0)) == ("et les disques ours", "")
    talk.settle(ANNE, said("bonjour à tous", 83.0))
    assert settled(talk, BILAL, said("bonjour à tous", 83.0)) == ("", "")
    assert settled(talk, BILAL, said("et les disques ours", 85.0)) == ("et les disques ours", "")


def test_how_far_another_is_follows_the_newest_copies() -> None:
    talk = copying()
    for track, level in ((ANNE, LOUD), (BILAL, LOUD - 9.0)):
        talk.audio_level(track, 20.0, 50.0, level)
    assert settled(talk, BILAL, said("et les disques ours", 21.0)) == ("et les disques ours", "")
    for start in (24.0, 28.0, 32.0, 36.0):
        talk.settle(ANNE, said(SPEECH, start))
        assert settled(talk, BILAL, said(SPEECH, start)) == ("", "")
    assert settled(talk, BILAL, said("et les disques ours", 40.0)) == ("", "")


def test_how_loud_a_track_was_is_told_of_a_time() -> None:
    assert room(anne=LOUD).levels(ANNE, 1.0, 1.6) == ((1.0, LOUD), (1.25, LOUD), (1.5, LOUD))
    assert CrossTalk().levels(ANNE, 1.0, 1.6) == ()


def test_what_an_ended_track_said_is_forgotten() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(GREETING))
    talk.forget(ANNE)
    talk.forget(ANNE)
    assert settled(talk, BILAL, said(GREETING, 0.05)) == (GREETING, "")
