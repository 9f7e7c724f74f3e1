"""OpenAI's words: request bodies, answers, sampling. Nothing in here computes."""
