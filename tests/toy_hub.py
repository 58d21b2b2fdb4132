"""Facts of cards, bundles and networks, for the tests of MindSpore Hub."""

import importlib.util
from hashlib import sha256

import numpy as np

from src.hub.card import read_header


def hash_of(path):
    return sha256(path.read_bytes()).hexdigest()


def asset_of(card):
    (asset,) = read_header(card)["asset"]
    return asset["asset-link"].strip("<>").split("/")[-1], asset["asset-sha256"]


def weights_of(net):
    return {name: value.asnumpy() for name, value in net.parameters_and_names()}


def equal(net, other):
    return all(np.array_equal(value, weights_of(other)[name]) for name, value in weights_of(net).items())


def entry_point(bundle):
    """`create_network` of a bundle, run by its path as Hub does."""
    spec = importlib.util.spec_from_file_location("entry", bundle / "src" / "mindspore_hub_conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.create_network
