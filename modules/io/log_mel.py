"""The log-mel family: from a sound to the loudness of its pitches over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..checks import choice, number, whole
from ..context import Context
from ..flops import nominal, product
from ..module import Module, PortError, one_port
from ..ports import Image, Masked, Port, Signal, Tokens, Value, split

QUARTER = 4
"""Frames begin every quarter of a window."""


class LogMel(Module):
    """`max(0, 1 + 10 log10(p / max p) / range)`, `p` the power in mel bands of Hann windows around each frame.

    Levels are relative to the sample's own loudest cell, so its loudness does not matter; silence is 0 everywhere.
    Frame t has its middle at sample `t hop`, so n samples give 1 + n // hop frames. It has no weights, only tables.

    Args:
        ports: one `Signal(channels, length)`; a variable length gives a variable number of frames.
        rate: samples a second.
        bands: how many pitches, evenly spaced on the mel scale from 0 to `rate / 2`.
        window: seconds of one frame; a new one begins every quarter of it.
        range: how many decibels below the loudest cell count as silence.
        form: `tokens` gives a token (channels * bands) for each frame, `image` an image (channels, bands, frames)
            with high pitch at the top, which needs a fixed length.

    Raises:
        PortError: another port, or an image of a variable length.
        ValueError: a setting is out of range, or a band lies between two frequencies and would always be silent.

    Example:
        >>> from pathways.modules import ModuleSpec, Signal, facts
        >>> facts(ModuleSpec("log_mel", {"rate": 8000, "bands": 20}), [Signal(1, 4000)]).output
        Tokens(length=63, dim=20)
    """

    family = "log_mel"
    reference = "mel scale and filters: Young et al. 2002, The HTK Book, section 5.4"

    def __init__(
        self, ports: tuple[Port, ...], *, rate: int, bands: int = 28, window: float = 0.032,
        range: float = 80.0, form: str = "tokens",
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Signal)
        self.rate, self.bands = whole("rate", rate), whole("bands", bands)
        self.range = number("range", range)
        if self.range <= 0:
            raise ValueError(f"`range` must be above 0, found {range}.")
        self.points = round(number("window", window) * rate)
        if self.points < QUARTER:
            raise ValueError(f"`window` must hold at least {QUARTER} samples, found {window} s at {rate} Hz.")
        self.hop = self.points // QUARTER
        frames = None if port.length is None else 1 + port.length // self.hop
        self.image = choice("form", form, ("tokens", "image")) == "image"
        if self.image and frames is None:
            raise PortError(f"family `log_mel` gives images of fixed lengths only, found {port}: use form `tokens`")
        self.output = (
            Image(port.channels, bands, frames) if self.image and frames is not None
            else Tokens(frames, port.channels * bands)
        )
        # Padded with zeros to twice its length, so that the lowest bands see more than one frequency.
        frequencies = self.points + 1
        if min(sum(row) for row in mel_filters(bands, 2 * self.points, rate)) <= 0:
            raise ValueError(f"`bands` must leave a frequency to each band, found {bands} at {rate} Hz: use fewer.")
        self.window: Tensor
        self.filters: Tensor
        self.register_buffer("window", torch.empty(2 * self.points))
        self.register_buffer("filters", torch.empty(bands, frequencies))
        self._flops = port.channels * product(1 + nominal(port.length) // self.hop, frequencies, bands)

    def initialise(self, generator: torch.Generator) -> None:
        """Work the tables out; nothing is drawn."""
        self.window.zero_()
        half = self.points // 2
        self.window[half : half + self.points] = torch.hann_window(self.points)
        self.filters.copy_(torch.tensor(mel_filters(self.bands, 2 * self.points, self.rate)))

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, channels, length) to (B, frames, channels * bands), or to (B, channels, bands, frames)."""
        signal, mask = split(inputs[0])
        if mask is not None:
            signal = signal.masked_fill(~mask[:, None], 0.0)
        power = self.filters @ self._power(signal)
        real = None if mask is None else self._frames(mask)
        if real is not None:
            power = power.masked_fill(~real[:, None, None], 0.0)
        loudest = power.amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(power.dtype).tiny)
        floor = 10 ** (-self.range / 10)
        level = 1 + 10 * (power / loudest).clamp_min(floor).log10() / self.range
        if self.image:
            return level.flip(2)
        tokens = level.flatten(1, 2).transpose(1, 2)
        return tokens if real is None else Masked(tokens, real)

    def _power(self, signal: Tensor) -> Tensor:
        """The power spectra (B, channels, frequencies, frames)."""
        spectra = torch.stft(
            signal.flatten(0, 1), 2 * self.points, self.hop, window=self.window, pad_mode="constant",
            return_complex=True,
        )
        return torch.view_as_real(spectra).square().sum(-1).unflatten(0, signal.shape[:2])

    def _frames(self, mask: Tensor) -> Tensor:
        """Which frames are real: those whose middle is not behind the last real sample."""
        places = torch.arange(1, mask.shape[1] + 1, device=mask.device)
        length = (places * mask).amax(1, keepdim=True)
        middles = torch.arange(0, mask.shape[1] + 1, self.hop, device=mask.device)
        return middles <= length

    def flops(self) -> int:
        """The product with the filters; the Fourier transform is not counted, as torch does not."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Tokens of 20 bands of a recording of 8000 samples a second."""
        fits = len(ports) == 1 and isinstance(ports[0], Signal)
        return {"rate": 8000, "bands": 20} if fits else None


def mel_filters(bands: int, points: int, rate: int) -> list[list[float]]:
    """(bands, points // 2 + 1): triangular filters of height 1, evenly spaced on the mel scale, lowest first.

    >>> [round(weight, 2) for weight in mel_filters(2, 16, 8000)[0][:5]]
    [0.0, 0.81, 0.68, 0.25, 0.0]
    """
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = [700 * (10 ** (top * i / (bands + 1) / 2595) - 1) for i in range(bands + 2)]
    frequencies = [i * rate / points for i in range(points // 2 + 1)]
    return [
        [max(min((f - low) / (peak - low), (high - f) / (high - peak)), 0.0) for f in frequencies]
        for low, peak, high in zip(edges, edges[1:], edges[2:], strict=False)
    ]
