"""python verify.py BUNDLE: recompute a statement from its evidence, offline, with the standard library; name the first that differs."""

import csv, hashlib, io, json, sys, zipfile
from collections import defaultdict
from decimal import Decimal as D, ROUND_HALF_EVEN, getcontext
from pathlib import Path

getcontext().prec = 90


def exact(x):
    return x.quantize(D("1e-18"), ROUND_HALF_EVEN)
