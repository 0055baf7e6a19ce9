"""For agents that exist already: a LangChain chat model that is governed."""
