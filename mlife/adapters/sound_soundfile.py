"""Copies of sound, made with soundfile: trim, resample, and a picture of the wave. Runs in the workshop's process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlife.core.media.conversions import CannotConvert, Conversion, Parameter, Values
from mlife.core.media.moving import trimmed, unchanged

BLOCK = 1 << 16
MOST_SECONDS = 4 * 3_600.0
WIDTH, HEIGHT = 960, 160
"""Of a picture of the wave, pixels."""


def _opened(source: Path) -> Any:
    import soundfile

    try:
        return soundfile.SoundFile(source)
    except soundfile.LibsndfileError as e:
        raise CannotConvert(f"is no sound that can be read: {e.error_string}") from e


def seconds_of(source: Path) -> float | None:
    """How long it is."""
    with _opened(source) as sound:
        if sound.frames <= 0 or sound.samplerate <= 0:
            raise CannotConvert("holds no sound")
        return round(float(sound.frames) / float(sound.samplerate), 6)


def trim(source: Path, target: Path, values: Values) -> str:
    """The stretch, sample by sample as it was, as WAV."""
    import soundfile

    start, end = float(values["start"]), float(values["end"])
    with _opened(source) as sound:
        first, last = int(start * sound.samplerate), min(sound.frames, round(end * sound.samplerate))
        if last <= first:
            raise CannotConvert(f"is {sound.frames / sound.samplerate:g} s long, and nothing of it is in that stretch")
        kept = sound.subtype if soundfile.check_format("WAV", sound.subtype) else "PCM_16"
        sound.seek(first)
        with soundfile.SoundFile(target, "w", sound.samplerate, sound.channels, kept, format="WAV") as written:
            left = last - first
            while left and len(block := sound.read(min(BLOCK, left), always_2d=True)):
                written.write(block)
                left -= len(block)
    return ".wav"


def resample(source: Path, target: Path, values: Values) -> str:
    """Another sample rate; above half of it nothing is kept, so that nothing folds back."""
    import numpy as np
    import soundfile

    rate = int(values["rate"])
    with _opened(source) as sound:
        if sound.frames / sound.samplerate > 600:
            raise CannotConvert("is longer than 10 minutes: trim it first")
        samples, old = sound.read(always_2d=True), sound.samplerate
    wanted = max(1, round(len(samples) * rate / old))
    kept = min(len(samples) // 2 + 1, wanted // 2 + 1)
    spectrum = np.fft.rfft(samples, axis=0)[:kept]
    made = np.fft.irfft(spectrum, wanted, axis=0) * (wanted / len(samples))
    soundfile.write(target, np.clip(made, -1.0, 1.0), rate, "PCM_16", format="WAV")
    return ".wav"


def waveform(source: Path, target: Path, _: Values) -> str:
    """The loudest and the softest of each column, as a picture."""
    import numpy as np
    from PIL import Image, ImageDraw

    with _opened(source) as sound:
        if sound.frames <= 0 or sound.frames / sound.samplerate > MOST_SECONDS:
            raise CannotConvert("holds no sound, or more than four hours of it")
        step = max(1, -(-sound.frames // WIDTH))
        peaks = []
        while len(block := sound.read(step, always_2d=True)):
            peaks.append((float(np.min(block)), float(np.max(block))))
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    drawn = ImageDraw.Draw(image)
    middle = HEIGHT / 2
    for column, (low, high) in enumerate(peaks):
        x = column * WIDTH // len(peaks)
        top, bottom = middle - min(1.0, high) * middle, middle - max(-1.0, low) * middle
        drawn.line((x, top, x, max(bottom, top + 1)), fill=40)
    image.save(target, "PNG")
    return ".png"


TRIM = Conversion(
    label="Trim",
    takes=("audio/",),
    run=trim,
    parameters=(Parameter("start", "From, seconds"), Parameter("end", "To, seconds")),
    moves=lambda truth, v: trimmed(truth, start=float(v["start"]), end=float(v["end"])),
)
RESAMPLE = Conversion(
    label="Resample",
    takes=("audio/",),
    run=resample,
    parameters=(Parameter("rate", "Samples a second", "whole", 16_000, 1_000, 192_000),),
    moves=lambda truth, _: unchanged(truth),
)
WAVEFORM = Conversion(label="Draw the wave", takes=("audio/",), run=waveform)
