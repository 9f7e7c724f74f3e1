"""Inspect: its openai and openai-api providers, with scorers."""

from checks import ASKED, MODEL, check
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import includes, match
from inspect_ai.solver import generate

CONFIG = GenerateConfig(max_tokens=24, temperature=0)


def run(model, scorer):
    task = Task(dataset=[Sample(input=ASKED, target="hello")], solver=generate(), scorer=scorer)
    (log,) = evaluate(task, model=model, display="none", log_dir="logs")
    assert log.status == "success", log.error
    return log


@check
def openai_provider():
    run(get_model(f"openai/{MODEL}", config=CONFIG), includes())


@check
def chat_completions():
    run(get_model(f"openai/{MODEL}", config=CONFIG, responses_api=False), match())


@check
async def direct():
    out = await get_model(f"openai/{MODEL}", config=CONFIG, responses_api=False).generate(ASKED)
    assert out.completion


@check
async def logprobs():
    more = GenerateConfig(max_tokens=8, logprobs=True, top_logprobs=2)
    model = get_model(f"openai/{MODEL}", config=more, responses_api=False)
    assert (await model.generate(ASKED)).choices[0].logprobs
