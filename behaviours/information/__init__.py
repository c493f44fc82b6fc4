"""What agents do with information: keep facts, answer questions, carry measurements to the market."""
