"""Conv units, up-sampling and fills that several parts use. They import nothing of mtdc."""
