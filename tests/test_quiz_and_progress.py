import pytest

from helpers import progress, quiz
from helpers.errors import DataError
from helpers.quiz import Attempt

ROW = {
    "id": "meaning",
    "topic": "basics",
    "notebook": "00",
    "level": "🟢",
    "kind": "one",
    "stem": "What is fine-tuning?",
    "explanation": "The model is trained further on your examples.",
    "source": "A sculptor and a block of marble",
    "hint": "Think of the sculptor.",
    "options": [
        {"text": "from scratch", "feedback": "That is pretraining."},
        {"text": "further, on your data", "right": True, "feedback": "Yes."},
        {"text": "a longer prompt", "feedback": "No weight changes then."},
    ],
}


def attempt(**changes):
    return Attempt(quiz.parse(ROW | changes), seed=3)


def place(tried, text):
    return [tried.shown.index(text)]


def test_the_feedback_is_that_of_the_chosen_option():
    tried = attempt()
    assert tried.answer(place(tried, "from scratch")).feedback == "That is pretraining."
    assert tried.answer(place(tried, "further, on your data")).correct
    assert tried.tries == 2


def test_several_choices_must_be_complete():
    options = [*ROW["options"], {"text": "with new examples", "right": True, "feedback": "Also."}]
    tried = attempt(kind="several", options=options)
    first = place(tried, "further, on your data")
    assert not tried.answer(first).correct
    assert tried.answer(first + place(tried, "with new examples")).correct


@pytest.mark.parametrize(("typed", "right"), [("12.4", True), ("12.6", False), ("abc", False)])
def test_a_number_counts_within_its_tolerance(typed, right):
    tried = attempt(kind="number", options=[], accepted=["12"], tolerance=0.5)
    assert tried.answer(typed).correct is right


def test_steps_must_stand_in_order_and_are_never_shown_so():
    tried = attempt(kind="order")
    texts = [option["text"] for option in ROW["options"]]
    assert tried.shown != texts
    assert tried.answer([tried.shown.index(text) for text in texts]).correct
    assert not tried.answer([0, 1, 2]).correct


def test_a_gap_in_code_ignores_spaces_and_the_kind_of_quotes():
    tried = attempt(kind="gap", options=[], accepted=["f(x, 'a')"], code="y = ____")
    assert tried.answer('f(x,"a")').correct


@pytest.mark.parametrize(
    "change", [{"stem": ""}, {"kind": "guess"}, {"options": ROW["options"][:1]}, {"level": "easy"}]
)
def test_a_defect_of_a_question_is_named(change):
    with pytest.raises(DataError, match="meaning"):
        quiz.parse(ROW | change)


def test_a_missed_question_says_what_to_read_again():
    question = quiz.parse(ROW)
    score = quiz.by_topic([question], {"meaning": False})[0]
    assert (score.right, score.answered) == (0, 1)
    assert score.reread == (("00", ROW["source"]),)


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))
    return tmp_path


def test_a_solved_exercise_stays_solved(state):
    progress.record_exercise("02-mask", solved=True)
    progress.record_exercise("02-mask", solved=False)
    assert progress.read().exercises["02-mask"] == {"solved": True, "tries": 2}


def test_a_damaged_progress_file_is_put_aside_and_not_lost(state):
    (state / "progress.json").write_text("{broken")
    assert progress.read().exercises == {}
    assert (state / "progress.json.damaged").read_text() == "{broken"


def test_exported_files_make_one_table(state, tmp_path):
    progress.record_question("meaning", right=True)
    progress.record_notebook("00", 60)
    files = [progress.export(tmp_path / f"learner{n}.json") for n in (1, 2)]
    table = progress.gather(files)
    assert table["questions right"].tolist() == [1, 1]
    assert table["minutes"].tolist() == [1.0, 1.0]
