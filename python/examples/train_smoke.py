"""Trains a tiny model for one epoch on the smoke cache, after the check. `pip install torch` first."""

import torch

import eegcache
from eegcache.torch import BalancedSampler, WindowDataset

CONFIG = "configs/smoke_test.yaml"


def loader(split, **options):
    dataset = WindowDataset(CONFIG, split)
    sampler = BalancedSampler(dataset) if split == "train" else None
    return torch.utils.data.DataLoader(
        dataset, batch_size=8, sampler=sampler, num_workers=2, **options
    )


def loss_of(model, x, y, pos_weight):
    """One logit a window, against whether it holds any seizure."""
    target = (y.amax(dim=1) > 0).float()
    return torch.nn.functional.binary_cross_entropy_with_logits(
        model(x).squeeze(1), target, pos_weight=pos_weight
    )


def main():
    torch.manual_seed(0)
    report = eegcache.preflight(CONFIG)  # raises unless the cache is complete, matching and sane
    print(f"training on {report.cache_dir}")

    train, val = loader("train"), loader("val")
    windows = train.dataset.windows
    print(f"{len(windows)} windows to train on, {windows.seizure_ratio:.1%} with seizure")
    ratio = windows.classes[train.sampler.order].astype(bool).mean()
    print(f"{len(train.sampler)} balanced, {ratio:.1%} with seizure")

    channels = windows[0].shape[0]
    model = torch.nn.Sequential(
        torch.nn.Conv1d(channels, 8, 15, stride=8),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool1d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 1),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    pos_weight = torch.tensor((1 - ratio) / ratio)
    for x, y, _meta in train:
        optimizer.zero_grad()
        loss_of(model, x, y, pos_weight).backward()
        optimizer.step()

    with torch.no_grad():
        losses = [loss_of(model, x, y, pos_weight).item() for x, y, _meta in val]
    print(f"validation loss {sum(losses) / len(losses):.2f}")
    for data in (train, val):
        served = data.dataset.served()
        print(f"{data.dataset.windows.split}: {sum(served.values())} windows by {len(served)} workers")


if __name__ == "__main__":
    main()
