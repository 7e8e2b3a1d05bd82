"""Data sets and loaders."""

from engine.data.dataset import ArrayDataset, Dataset
from engine.data.loader import DataLoader
from engine.data.samples import SampleDataset, pad_sequences
from engine.data.split import ConcatDataset, Subset, random_split

__all__ = [
    "ArrayDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "SampleDataset",
    "Subset",
    "pad_sequences",
    "random_split",
]
