"""LlamaIndex with its OpenAI-like model and OpenAI embeddings."""

from checks import ASKED, EMBEDDER, KEY, MODEL, URL, check
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(
    model=MODEL, api_base=URL, api_key=KEY, is_chat_model=True, max_tokens=24, context_window=2048
)
embed = OpenAILikeEmbedding(model_name=EMBEDDER, api_base=URL, api_key=KEY)


@check
def complete():
    assert llm.complete(ASKED).text


@check
def chat():
    assert llm.chat([ChatMessage(role="user", content=ASKED)]).message.content


@check
def stream():
    assert list(llm.stream_chat([ChatMessage(role="user", content=ASKED)]))


@check
async def async_chat():
    assert (await llm.achat([ChatMessage(role="user", content=ASKED)])).message.content


@check
def old_completions():
    old = OpenAILike(model=MODEL, api_base=URL, api_key=KEY, is_chat_model=False, max_tokens=8)
    assert old.complete("Once upon a time").text


@check
def embeddings():
    assert len(embed.get_text_embedding_batch(["a", "b"])) == 2


@check
def index_and_query():
    Settings.llm, Settings.embed_model = llm, embed
    index = VectorStoreIndex.from_documents([Document(text="Press the button for 5 seconds.")])
    assert str(index.as_query_engine(similarity_top_k=1).query("How long do I press?"))
