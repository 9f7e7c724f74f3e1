"""DSPy: predictors, typed output, embeddings, and training through its fine-tuning interface."""

import dspy
from checks import ASKED, EMBEDDER, KEY, MODEL, URL, check
from dspy.clients.utils_finetune import TrainDataFormat

lm = dspy.LM(
    f"openai/{MODEL}", api_base=URL, api_key=KEY, max_tokens=200, temperature=0.0, cache=False
)
dspy.configure(lm=lm)


@check
def raw():
    assert lm(ASKED)


@check
def messages():
    assert lm(messages=[{"role": "user", "content": ASKED}])


@check
def predict_text():
    assert dspy.Predict("question -> answer")(question="Say hello.").answer


@check
def predict_json():
    with dspy.context(adapter=dspy.JSONAdapter()):
        assert dspy.Predict("question -> answer")(question="Say hello.").answer


@check
def typed():
    with dspy.context(adapter=dspy.JSONAdapter()):
        out = dspy.Predict("question -> count: int")(question="How many days has a week?")
        assert isinstance(out.count, int)


@check
def embedder():
    out = dspy.Embedder(f"openai/{EMBEDDER}", api_base=URL, api_key=KEY)(["router"])
    assert out.shape == (1, 384)


TRAINED = []


@check
def finetune():
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"How do I pay bill {number}?"},
                {"role": "assistant", "content": "By card."},
            ]
        }
        for number in range(12)
    ]
    job = lm.finetune(rows, TrainDataFormat.CHAT, {"n_epochs": 1})
    made = job.result()
    assert not isinstance(made, Exception), made
    TRAINED.append(made)


@check
def ask_the_trained_model():
    name = TRAINED[0].model.removeprefix("openai/")
    assert dspy.LM(f"openai/{name}", api_base=URL, api_key=KEY, max_tokens=20, cache=False)(ASKED)


@check
def ask_what_finetune_gave():
    assert TRAINED[0](ASKED)
