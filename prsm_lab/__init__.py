"""prsm_lab: ask many models from a DataFrame, and know what it cost and how sure you are."""
