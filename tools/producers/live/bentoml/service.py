"""A service that monitors what it predicts."""

import bentoml


@bentoml.service(workers=1)
class Flowers:
    @bentoml.api
    def classify(self, sepal_length: float, petal_length: float) -> str:
        with bentoml.monitor("flowers") as monitor:
            monitor.log(sepal_length, name="sepal length", role="feature", data_type="numerical")
            monitor.log(petal_length, name="petal length", role="feature", data_type="numerical")
            species = "setosa" if petal_length < 2.5 else "virginica"
            monitor.log(species, name="species", role="prediction", data_type="categorical")
        return species
