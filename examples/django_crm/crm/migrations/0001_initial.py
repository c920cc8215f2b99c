"""The first table."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the customers."""

    initial = True
    operations: ClassVar = [
        migrations.CreateModel(
            name="Customer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("phone", models.CharField(blank=True, max_length=40)),
                ("timezone", models.CharField(default="America/New_York", max_length=60)),
                ("owner", models.CharField(blank=True, max_length=60)),
                ("is_won", models.BooleanField(default=False)),
            ],
        )
    ]
