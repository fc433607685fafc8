// Test statistics of toys for RooStats, as Cling compiles them.
#ifndef NA64ROOT_CLING_TEST_STATISTICS_HPP
#define NA64ROOT_CLING_TEST_STATISTICS_HPP

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <vector>

#include "RooAbsData.h"
#include "RooAbsPdf.h"
#include "RooGlobalFunc.h"
#include "RooMinimizer.h"
#include "RooRealVar.h"
#include "RooStats/ProfileLikelihoodTestStat.h"

namespace na64root {

// The profile likelihood ratio with the free fit begun where the conditional one ended. It takes
// other ways through flat valleys than ProfileLikelihoodTestStat, whose free fit is the first.
class ContinuedFit : public RooStats::TestStatistic {
  public:
    ContinuedFit(RooAbsPdf &pdf, const RooArgSet &auxiliary, double tolerance, bool one_sided)
        : pdf_(pdf), auxiliary_(auxiliary), tolerance_(tolerance), one_sided_(one_sided) {}

    double Evaluate(RooAbsData &data, RooArgSet &parameters_of_interest) override {
        const auto *tested = static_cast<RooAbsReal *>(parameters_of_interest.first());
        std::unique_ptr<RooArgSet> parameters{pdf_.getParameters(data)};
        RooArgSet before;
        parameters->snapshot(before);
        auto &mu = static_cast<RooRealVar &>((*parameters)[tested->GetName()]);
        RooArgSet constrained{*parameters};
        constrained.remove(auxiliary_, true, true);
        std::unique_ptr<RooAbsReal> nll{pdf_.createNLL(data, RooFit::CloneData(false),
                                                       RooFit::Constrain(constrained),
                                                       RooFit::GlobalObservables(auxiliary_))};
        const auto minimum = [&] {
            RooMinimizer minimiser(*nll);
            minimiser.setPrintLevel(-1);
            minimiser.setEps(tolerance_);
            minimiser.setStrategy(2);
            minimiser.minimize("Minuit2", "Migrad");
            return nll->getVal();
        };
        mu.setVal(tested->getVal());
        mu.setConstant(true);
        const double conditional = minimum();
        mu.setConstant(false);
        const double free = minimum();
        const double fitted = mu.getVal();
        parameters->assign(before);
        const double ratio = conditional - free;
        return one_sided_ && fitted > tested->getVal() ? std::min(0.0, ratio) : ratio;
    }

    const TString GetVarName() const override { return "-ln(likelihood ratio)"; }

  private:
    RooAbsPdf &pdf_;
    RooArgSet auxiliary_;
    double tolerance_;
    bool one_sided_;
};

// A statistic whose values nearer to the observed one than a tolerance are equal to it. The observed value
// is what the same code gave for the observed data, at the same parameter of interest, before the toys.
class TieSafeStatistic : public RooStats::TestStatistic {
  public:
    // `tries` are the same statistic by different minimisations: the next is asked where one failed, which is
    // where a free fit ended above the conditional one, or stepped over the end of a parameter's range by the
    // last bit, of which RooFit makes an exception.
    TieSafeStatistic(const std::vector<RooStats::TestStatistic *> &tries, const RooAbsPdf &pdf,
                     const RooAbsData &observed, double tolerance)
        : tries_(tries), variables_(pdf.getVariables()), observed_(&observed), tolerance_(tolerance) {}

    double Evaluate(RooAbsData &data, RooArgSet &parameters_of_interest) override {
        const double mu = static_cast<RooAbsReal *>(parameters_of_interest.first())->getVal();
        double value = std::nan("");
        RooArgSet before;
        variables_->snapshot(before);
        for (RooStats::TestStatistic *statistic : tries_) {
            if (valid(value))
                break;
            try {
                value = statistic->Evaluate(data, parameters_of_interest);
            } catch (const std::invalid_argument &) {
                variables_->assign(before);
            }
        }
        if (!valid(value)) {
            ++failures;
            return 0.0;
        }
        value = value > 0.0 ? value : 0.0;
        if (&data == observed_) {
            observed_value = value;
            observed_mu_ = mu;
            return value;
        }
        if (mu != observed_mu_)
            throw std::logic_error("a toy was evaluated before the observed data");
        return std::abs(value - observed_value) < tolerance_ ? observed_value : value;
    }

    const TString GetVarName() const override { return "-ln(likelihood ratio)"; }

    double observed_value = std::nan("");
    int failures = 0;

  private:
    bool valid(double value) const { return value > -10.0 * tolerance_ && std::isfinite(value); }

    std::vector<RooStats::TestStatistic *> tries_;
    std::unique_ptr<RooArgSet> variables_;
    const RooAbsData *observed_;
    double tolerance_;
    double observed_mu_ = std::nan("");
};

} // namespace na64root

#endif
