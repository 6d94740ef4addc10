package simulate

import (
	"math"
	"time"

	"github.com/modelwatch/modelwatch"
)

// The homes that are for sale, before the drift and after it.
var (
	districts = mixed{
		before: []choice{{"centre", .2}, {"harbour", .12}, {"north", .18}, {"south", .2}, {"east", .16}, {"west", .14}, {"new_town", 0}},
		after:  []choice{{"centre", .14}, {"harbour", .1}, {"north", .15}, {"south", .17}, {"east", .12}, {"west", .12}, {"new_town", .2}},
	}
	districtValue = []float64{.35, .28, 0, .08, -.12, .05, .18}

	kinds     = []choice{{"flat", .58}, {"terraced_house", .2}, {"detached_house", .14}, {"studio", .08}}
	kindValue = []float64{0, .08, .2, -.1}

	energyClasses = []choice{{"A", .1}, {"B", .18}, {"C", .24}, {"D", .2}, {"E", .14}, {"F", .09}, {"G", .05}}
)

// newPrice is a regression of what homes are worth.
func newPrice() *model {
	m := &model{
		name: Price, version: PriceVersion, task: modelwatch.TaskRegression,
		description: "Simulated: for how much will a home be sold?",
		predicted:   modelwatch.TypeNumber,
		features: []modelwatch.Feature{
			numeric("area_m2", "m2", 5, 2000), numeric("rooms", "", 1, 30), numeric("year_built", "", 1700, 2100), category("district"),
			category("kind"), category("energy_class"), numeric("floor", "", 0, 60), numeric("distance_to_centre_km", "km", 0, 100),
			flag("garden"), flag("parking"), numeric("days_listed", "d", 0, 3000),
		},
		draw: drawPrice,
	}
	return m.withKeys()
}

// drawPrice draws a sale. As the world drifts a district is built that was not
// known, homes become smaller, and the market rises past what the model has learnt.
func drawPrice(r *random, out *row, _ time.Time, drift float64) {
	area := number(math.Max(12, 82*(1-.15*drift)*math.Exp(.42*r.normal())), 1)
	rooms := number(max(1, math.Round(area.value()/27+.6*r.normal())), 0)
	year := number(math.Round(2024-70*math.Pow(r.float(), 1.4)), 0)
	district, districtName := districts.pick(r, drift)
	kind := r.pick(kinds)
	energy := r.pick(energyClasses)
	floor := number(math.Floor(2.2*r.exponential()), 0)
	distance := number(.4+4*r.exponential(), 1)
	garden, parking := r.chance(.3), r.chance(.45)
	listed := number(math.Floor(35*r.exponential()), 0)

	known := math.Log(3900) + .94*math.Log(area.value()) + districtValue[district] + kindValue[kind] - .035*float64(energy) -
		.028*distance.value() + .002*(year.value()-1990) + .01*math.Min(floor.value(), 10)
	if garden {
		known += .06
	}
	if parking {
		known += .04
	}
	predicted := math.Exp(known + .06*r.normal())
	sold := math.Exp(known + .1*r.normal() + .22*drift + .12*drift*r.normal())

	energyCell := text(energyClasses[energy].name)
	if r.chance(.05) {
		energyCell = cell{}
	}
	for _, c := range [...]cell{
		area, rooms, year, text(districtName), text(kinds[kind].name), energyCell, floor, distance, boolean(garden), boolean(parking), listed,
	} {
		out.add(c)
	}
	out.predicted = number(predicted, 0)
	out.label = number(math.Round(sold/100)*100, 0)
}
