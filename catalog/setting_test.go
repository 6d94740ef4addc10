package catalog

import (
	"errors"
	"fmt"
	"testing"

	"github.com/modelwatch/modelwatch"
)

func TestSettings(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		if _, ok, err := b.Setting(t.Context(), "salt"); ok || err != nil {
			t.Errorf("a setting that is absent: %v, %v", ok, err)
		}
		stored := make([]string, 8)
		errs := concurrently(len(stored), func(i int) (err error) {
			stored[i], err = b.PutSettingIfAbsent(t.Context(), "salt", fmt.Sprint("value ", i))
			return err
		})
		must(t, errors.Join(errs...))
		for _, s := range stored {
			if s != stored[0] {
				t.Errorf("two values of one setting: %q and %q", s, stored[0])
			}
		}
		must(t, b.PutSetting(t.Context(), "salt", "other"))
		value, ok, err := b.Setting(t.Context(), "salt")
		if value != "other" || !ok || err != nil {
			t.Errorf("got %q, %v, %v", value, ok, err)
		}
		wantCode(t, b.PutSetting(t.Context(), "salt", "\xff"), modelwatch.CodeInvalid)
		_, err = b.PutSettingIfAbsent(t.Context(), "salt", "\x00")
		wantCode(t, err, modelwatch.CodeInvalid)
	})
}
