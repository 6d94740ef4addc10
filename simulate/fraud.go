package simulate

import (
	"math"
	"time"

	"github.com/modelwatch/modelwatch"
)

// The population of card payments, before the drift and after it.
var (
	countries = mixed{
		before: []choice{{"DE", .34}, {"FR", .22}, {"GB", .18}, {"IT", .12}, {"PL", .08}, {"NL", .06}, {"BR", 0}},
		after:  []choice{{"DE", .28}, {"FR", .19}, {"GB", .16}, {"IT", .10}, {"PL", .07}, {"NL", .05}, {"BR", .15}},
	}
	countryRisk = []float64{0, .1, .2, .3, .6, 0, 1.2}

	devices = mixed{
		before: []choice{{"desktop", .46}, {"mobile", .42}, {"tablet", .12}},
		after:  []choice{{"desktop", .22}, {"mobile", .73}, {"tablet", .05}},
	}
	deviceRisk = []float64{0, .3, .1}

	merchants    = []choice{{"grocery", .28}, {"fashion", .2}, {"electronics", .15}, {"travel", .12}, {"restaurants", .12}, {"gaming", .08}, {"gift_cards", .05}}
	merchantRisk = []float64{-.6, 0, .5, .2, -.4, .7, 1.5}

	mailDomains = []choice{{"gmail.com", .45}, {"outlook.com", .2}, {"icloud.com", .15}, {"web.de", .12}, {"mailbox.temp", .08}}
	mailRisk    = []float64{0, 0, -.2, -.1, 1.3}
)

const (
	labelFraud = "fraud"
	labelLegit = "legit"
)

// newFraud is a binary classifier of card payments. Its score is the probability
// by the rule that held when it was trained, with some noise.
func newFraud() *model {
	m := &model{
		name: Fraud, version: FraudVersion, task: modelwatch.TaskBinary, positive: labelFraud,
		description: "Simulated: is a card payment fraudulent?",
		score:       modelwatch.TypeNumber, predicted: modelwatch.TypeCategory,
		features: []modelwatch.Feature{
			numeric("amount", "EUR", 0, 100_000), category("country"), category("device"), category("merchant_category"),
			numeric("hour", "h", 0, 23), numeric("account_age_days", "d", 0, 10_000), numeric("payments_24h", "", 0, 1000),
			numeric("distance_km", "km", 0, 20_100), flag("card_present"), flag("new_merchant"), category("mail_domain"),
			numeric("ip_risk", "", 0, 1),
		},
		draw: drawFraud,
	}
	return m.withKeys()
}

// drawFraud draws a payment. As the world drifts amounts inflate, a country that
// was not known comes in, telephones displace desktops, and what gives fraud
// away changes, so that the score says less and less.
func drawFraud(r *random, out *row, at time.Time, drift float64) {
	amount := number(math.Exp(3.6+1.1*r.normal())*(1+.9*drift), 2)
	country, countryName := countries.pick(r, drift)
	device, deviceName := devices.pick(r, drift)
	merchant := r.pick(merchants)
	hour := at.Hour()
	age := number(min(900*r.exponential(), 9999), 0)
	payments := number(math.Floor(2.5*r.exponential()), 0)
	distance := number(min(math.Exp(1.5+1.6*r.normal()), 20_000), 1)
	present, fresh := r.chance(.4), r.chance(.25)
	mail := r.pick(mailDomains)
	risk := number(math.Pow(r.float(), 3), 3)

	known := -2.4 + .7*math.Log((amount.value()+1)/40) + countryRisk[country] + deviceRisk[device] + merchantRisk[merchant] +
		.15*payments.value() - .35*math.Log1p(age.value()/200) + .2*math.Log1p(distance.value()/10) + 2.2*risk.value()
	if present {
		known -= 1.1
	}
	if fresh {
		known += .9
	}
	if hour < 6 {
		known += .5
	}
	known += mailRisk[mail]
	// The new kind of fraud: small amounts, on telephones, from old accounts.
	unknown := -1.9 - .5*math.Log((amount.value()+1)/40) + .5*float64(device%2) + .4*math.Log1p(age.value()/200)
	score := number(sigmoid(known+.35*r.normal()), 4)
	truth := sigmoid((1-.75*drift)*known + .75*drift*unknown)

	ageCell, mailCell := age, text(mailDomains[mail].name)
	if r.chance(.02) {
		ageCell = cell{}
	}
	if r.chance(.03 + .05*drift) {
		mailCell = cell{}
	}
	for _, c := range [...]cell{
		amount, text(countryName), text(deviceName), text(merchants[merchant].name), number(float64(hour), 0), ageCell, payments,
		distance, boolean(present), boolean(fresh), mailCell, risk,
	} {
		out.add(c)
	}
	out.score = score
	out.predicted = text(fraudIf(score.value() >= .5))
	out.label = text(fraudIf(r.chance(truth)))
}

func fraudIf(fraud bool) string {
	if fraud {
		return labelFraud
	}
	return labelLegit
}
