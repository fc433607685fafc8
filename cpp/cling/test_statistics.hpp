// Test statistics of toys for RooStats, as Cling compiles them.
#ifndef NA64ROOT_CLING_TEST_STATISTICS_HPP
#define NA64ROOT_CLING_TEST_STATISTICS_HPP

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "RooAbsData.h"
#include "RooAbsPdf.h"
#include "RooDataSet.h"
#include "RooGlobalFunc.h"
#include "RooMinimizer.h"
#include "RooRandom.h"
#include "RooRealVar.h"
#include "RooStats/ProfileLikelihoodTestStat.h"
#include "RooStats/ToyMCSampler.h"

#include "na64root/profile_likelihood.hpp"

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

// The profile likelihood ratio by the core's own fit, a hundred times as fast as Minuit's; of data whose
// observables are the counts themselves.
class CountedFit : public RooStats::TestStatistic {
  public:
    // `counts` and `auxiliaries` are the variables of the pdf, in the order of the likelihood.
    CountedFit(ProfileLikelihood likelihood, const RooArgList &counts, const RooArgList &auxiliaries,
               bool one_sided)
        : likelihood_(std::move(likelihood)), counts_(counts), auxiliaries_(auxiliaries),
          one_sided_(one_sided), seen_(counts.size()), measured_(auxiliaries.size()) {}

    double Evaluate(RooAbsData &data, RooArgSet &parameters_of_interest) override {
        const double mu = static_cast<RooAbsReal *>(parameters_of_interest.first())->getVal();
        const RooArgSet &row = *data.get(0);
        for (std::size_t i = 0; i < seen_.size(); ++i)
            seen_[i] = static_cast<RooAbsReal *>(row.find(*counts_.at(i)))->getVal();
        for (std::size_t k = 0; k < measured_.size(); ++k)
            measured_[k] = static_cast<RooAbsReal *>(auxiliaries_.at(k))->getVal();
        return of(mu, seen_, measured_);
    }

    double of(double mu, const std::vector<double> &counts, const std::vector<double> &auxiliaries) const {
        return likelihood_.ratio(mu, counts, auxiliaries, one_sided_);
    }

    const TString GetVarName() const override { return "-ln(likelihood ratio)"; }

  private:
    ProfileLikelihood likelihood_;
    RooArgList counts_, auxiliaries_;
    bool one_sided_;
    std::vector<double> seen_, measured_;
};

// A statistic whose values nearer to the observed one than a tolerance are equal to it. The observed value
// is what the same code gave for the observed data, at the same parameter of interest, before the toys. Of
// the first values some are compared with those of the other tries, which are RooStats' own: one of them must
// agree.
class TieSafeStatistic : public RooStats::TestStatistic {
  public:
    // `tries` are the same statistic by different minimisations: the next is asked where one failed, which is
    // where a free fit ended above the conditional one, or stepped over the end of a parameter's range by the
    // last bit, of which RooFit makes an exception.
    TieSafeStatistic(const std::vector<RooStats::TestStatistic *> &tries, const RooAbsPdf &pdf,
                     const RooAbsData &observed, double tolerance)
        : tries_(tries), variables_(pdf.getVariables()), observed_(&observed), tolerance_(tolerance) {}

    // The fit that is asked before the tries, and how many of its first values these judge.
    void ask_first(CountedFit &fit, int judged) {
        first_ = &fit;
        judged_ = judged;
    }

    double Evaluate(RooAbsData &data, RooArgSet &parameters_of_interest) override {
        const double mu = static_cast<RooAbsReal *>(parameters_of_interest.first())->getVal();
        double value = std::nan("");
        if (first_)
            value = first_->Evaluate(data, parameters_of_interest);
        if (valid(value) && judged_ > 0) {
            --judged_;
            bool agreed = false;
            for (std::size_t i = 0; i < tries_.size() && !agreed; ++i)
                agreed = std::abs(evaluate(i, data, parameters_of_interest) - value) < 10.0 * tolerance_;
            disagreements += agreed ? 0 : 1;
        }
        for (std::size_t i = 0; i < tries_.size() && !valid(value); ++i)
            value = evaluate(i, data, parameters_of_interest);
        if (!valid(value)) {
            ++failures;
            return 0.0;
        }
        if (&data == observed_) {
            observed_mu_ = mu;
            return observed_value = std::max(0.0, value);
        }
        return tied(value, mu);
    }

    // The statistic of a toy by the fit that is asked first, without data of RooFit; NaN where Evaluate has
    // to be asked.
    double of_numbers(double mu, const std::vector<double> &counts,
                      const std::vector<double> &auxiliaries) const {
        const double value = first_ && judged_ == 0 ? first_->of(mu, counts, auxiliaries) : std::nan("");
        return valid(value) ? tied(value, mu) : std::nan("");
    }

    const TString GetVarName() const override { return "-ln(likelihood ratio)"; }

    double observed_value = std::nan("");
    int failures = 0, disagreements = 0;

  private:
    double tied(double value, double mu) const {
        if (mu != observed_mu_)
            throw std::logic_error("a toy was evaluated before the observed data");
        return std::abs(value - observed_value) < tolerance_ ? observed_value : std::max(0.0, value);
    }

    double evaluate(std::size_t which, RooAbsData &data, RooArgSet &parameters_of_interest) {
        RooArgSet before;
        variables_->snapshot(before);
        try {
            return tries_[which]->Evaluate(data, parameters_of_interest);
        } catch (const std::invalid_argument &) {
            variables_->assign(before);
            return std::nan("");
        }
    }

    bool valid(double value) const { return value > -10.0 * tolerance_ && std::isfinite(value); }

    std::vector<RooStats::TestStatistic *> tries_;
    std::unique_ptr<RooArgSet> variables_;
    const RooAbsData *observed_;
    double tolerance_;
    CountedFit *first_ = nullptr;
    int judged_ = 0;
    double observed_mu_ = std::nan("");
};

// Toys of a pdf whose observables are counts, as RooStats' calculators ask for them. With a prior of the
// nuisance parameters (HybridCalculator) these are drawn from it by RooFit, and the auxiliary measurements
// are as measured; without (FrequentistCalculator) the parameters are where the calculator puts them, and the
// auxiliary measurements fluctuate. A toy becomes data of
// RooFit only where its statistic asks for that: these take ten times as long as the fit.
class CountedToys : public RooStats::ToyMCSampler {
  public:
    // Variables of the pdf: counts with their rates, auxiliary measurements with their parameters. `means`
    // are those of auxiliary measurements that are counts, and zero for normal ones.
    CountedToys(TieSafeStatistic &statistic, int toys, const RooArgList &counts, const RooArgList &rates,
                const RooArgList &auxiliaries, const RooArgList &parameters, std::vector<double> means)
        : RooStats::ToyMCSampler(statistic, toys), statistic_(statistic), counts_(counts), rates_(rates),
          auxiliaries_(auxiliaries), parameters_(parameters), means_(std::move(means)), row_(counts) {}

    RooDataSet *GetSamplingDistributions(RooArgSet &point) override {
        const std::unique_ptr<RooArgSet> variables{fPdf->getVariables()};
        RooArgSet before;
        variables->snapshot(before);
        variables->assign(point);
        const bool averaged = fPriorNuisance && fNuisancePars && !fNuisancePars->empty();
        const std::unique_ptr<RooDataSet> drawn{
            averaged ? fPriorNuisance->generate(*fNuisancePars, GetNToys()) : nullptr};
        const std::vector<double> at = values(parameters_);
        std::vector<double> rates = values(rates_), measured = values(auxiliaries_), seen(rates.size());
        RooArgSet tested;
        fParametersForTestStat->snapshot(tested);
        const double mu = static_cast<RooAbsReal *>(tested.first())->getVal();
        RooRealVar value("statistic", statistic_.GetVarName(), 0.0);
        auto all = std::make_unique<RooDataSet>("toys", "toys", RooArgSet(value));
        TRandom &random = *RooRandom::randomGenerator();
        for (int toy = 0; toy < GetNToys(); ++toy) {
            if (averaged) {
                variables->assign(*drawn->get(toy));
                rates = values(rates_);
            } else
                for (std::size_t k = 0; k < at.size(); ++k)
                    measured[k] =
                        means_[k] > 0.0 ? random.PoissonD(means_[k] * at[k]) : random.Gaus(at[k], 1.0);
            for (std::size_t i = 0; i < rates.size(); ++i)
                seen[i] = random.PoissonD(rates[i]);
            double found = statistic_.of_numbers(mu, seen, measured);
            if (std::isnan(found)) {
                variables->assign(point);
                found = by_data(seen, measured, tested);
            }
            value.setVal(found);
            all->add(RooArgSet(value));
        }
        variables->assign(before);
        return all.release();
    }

  private:
    double by_data(const std::vector<double> &seen, const std::vector<double> &measured, RooArgSet &tested) {
        set(auxiliaries_, measured);
        set(counts_, seen);
        RooDataSet toy("toy", "counts", row_);
        toy.add(row_);
        return statistic_.Evaluate(toy, tested);
    }
    static std::vector<double> values(const RooArgList &list) {
        std::vector<double> found;
        for (const RooAbsArg *one : list)
            found.push_back(static_cast<const RooAbsReal *>(one)->getVal());
        return found;
    }
    static void set(const RooArgList &list, const std::vector<double> &to) {
        for (std::size_t i = 0; i < to.size(); ++i)
            static_cast<RooRealVar &>(list[i]).setVal(to[i]);
    }

    TieSafeStatistic &statistic_;
    RooArgList counts_, rates_, auxiliaries_, parameters_;
    std::vector<double> means_;
    RooArgSet row_;
};

} // namespace na64root

#endif
