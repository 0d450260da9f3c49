from __future__ import annotations

from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F


class Gazetteer(models.Model):
    """Which list of places is loaded: one row, or none (depots.operations.gazetteer)."""

    version = models.CharField(max_length=60, help_text="the package and its version")
    loaded_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.version


class Place(models.Model):
    """A town of the gazetteer, by its GeoNames id. Nothing refers to it: the list is replaced as a whole."""

    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=200)
    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2")
    latitude = models.FloatField()
    longitude = models.FloatField()
    time_zone = models.CharField(max_length=64)
    population = models.IntegerField()

    # Of one that was found by a name: whether it is called just that.
    is_exact = False

    def __str__(self) -> str:
        return f"{self.name}, {self.country}"


class PlaceName(models.Model):
    """A name it goes by in some language, as a key (depots.place_keys)."""

    place = models.ForeignKey(Place, models.CASCADE, related_name="names")
    key = models.CharField(max_length=200)

    class Meta:
        indexes = [models.Index(OpClass(F("key"), name="varchar_pattern_ops"), name="place_name_begins")]

    def __str__(self) -> str:
        return self.key
