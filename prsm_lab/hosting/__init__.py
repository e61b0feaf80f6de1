"""Other people's weights: looked at before anything reads them, run in a process of their own, kept while they are
wanted.

`headers`, `configs` and `archives` decide what is let in; `staging` lays out what the loader may see; `child` starts
`loader` (transformers or llama.cpp, without keys and network); `store` keeps what was uploaded.
"""
