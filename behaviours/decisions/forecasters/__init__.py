"""Day-ahead forecasts of loads from their own past: naive, median, ridge, boosted trees; their backtest."""
