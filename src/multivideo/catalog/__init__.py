"""What each model can do and costs, as of a date: typed rows with source, date and certainty."""
