"""Data sets and loaders."""

from engine.data.dataset import ArrayDataset, Dataset
from engine.data.loader import DataLoader

__all__ = ["ArrayDataset", "DataLoader", "Dataset"]
